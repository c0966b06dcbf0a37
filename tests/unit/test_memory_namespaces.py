"""What a memory backend holds of its namespaces."""

from __future__ import annotations

import gc

from symphra_cache import CacheManager
from symphra_cache.backends import MemoryBackend


def test_a_namespace_for_each_user_leaves_nothing_behind() -> None:
    backend = MemoryBackend(max_size=10)
    cache = CacheManager(backend)
    for number in range(1_000):
        cache.namespace(f"user-{number}").set("k", number)
    gc.collect()
    assert len(backend._store.spaces) <= 10 + len(["", "symphra"])
    assert cache.namespace("user-999").get("k") == 999
    assert cache.clear(nested=True) == 10
