"""`on_outage="degrade"` on a cluster of which a part is out: a replica brings old values back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from faulty import outages_of
from redis_cluster import shared_cluster
from symphra_cache import CacheManager
from symphra_cache.backends import RedisBackend

if TYPE_CHECKING:
    from faces import Caller

SLOW = "socket_timeout=0.5&socket_connect_timeout=0.5"
KEYS = [f"k{number}" for number in range(60)]


def test_a_replica_that_takes_over_shows_nothing_that_was_overwritten(call: Caller) -> None:
    cluster = shared_cluster().fresh()
    nodes = ",".join(f"{host}:{port}" for host, port in cluster.addresses)
    backend = RedisBackend(f"redis+cluster://{nodes}?{SLOW}")
    paused = cluster.primary_of("symphra:k0")
    lost = [key for key in KEYS if cluster.primary_of(f"symphra:{key}") is paused]
    assert 0 < len(lost) < len(KEYS)
    with CacheManager(backend, on_outage="degrade") as cache:
        assert call(cache, "set_many", dict.fromkeys(KEYS, "old")) == []
        paused.command("WAIT", 1, 5_000)
        cluster.pause(paused)
        try:
            assert sorted(call(cache, "set_many", dict.fromkeys(KEYS, "new"))) == sorted(lost)
            assert call(cache, "get", lost[0], "out") == "out"
            cluster.wait_ok()  # the replica has taken over, with what it had
            end = time.monotonic() + 20
            while call(cache, "get", lost[-1]) != "new" or outages_of(cache)._ledgers:
                call(cache, "set", lost[-1], "new")
                assert time.monotonic() < end
                time.sleep(0.05)
            found = call(cache, "get_many", KEYS)
        finally:
            cluster.fresh()
    assert found == dict.fromkeys([key for key in KEYS if key not in lost[:-1]], "new")
