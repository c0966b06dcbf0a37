"""Measures the family ``redis``; `scripts/bench redis` does the set-up and calls this."""

from __future__ import annotations

import os
import signal
import sys

from families.redis import PACKAGES, WORKS
from families.redis.common import CLUSTER, SERVER
from harness.command import main
from harness.redis_servers import running_cluster, running_server

if __name__ == "__main__":
    # So that the servers end with the run when it is ended from outside, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with running_server() as address, running_cluster() as addresses:
        os.environ[SERVER], os.environ[CLUSTER] = address, ",".join(addresses)
        main("redis", WORKS, PACKAGES)
