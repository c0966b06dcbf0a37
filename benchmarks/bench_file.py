"""Measures the family ``file``; `scripts/bench file` does the set-up and calls this."""

from __future__ import annotations

import os
import signal
import sys
from tempfile import TemporaryDirectory

from families.file import PACKAGES, WORKS
from families.file.common import FOLDER
from harness.command import main

if __name__ == "__main__":
    # So that the folder goes when the run is ended from outside, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with TemporaryDirectory(prefix="symphra-cache-bench-", ignore_cleanup_errors=True) as folder:
        os.environ[FOLDER] = folder
        main("file", WORKS, PACKAGES)
