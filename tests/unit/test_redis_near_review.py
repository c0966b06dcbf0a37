"""The near cache: faults that a review found. Real servers, both faces where it matters."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import TYPE_CHECKING

import pytest

from near_links import entries_of, until, wait_heard, wait_linked
from redis_servers import shared_server
from symphra_cache import CacheManager
from symphra_cache.backends import NearCache, RedisBackend

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from faces import Caller
    from redis_servers import RedisServer


@pytest.fixture
def server() -> RedisServer:
    return shared_server().fresh()


@pytest.fixture
def cache(server: RedisServer) -> Iterator[CacheManager]:
    with linked(server.chosen_url) as made:
        yield made


def linked(url: str, **options: Any) -> CacheManager:
    """Return a cache whose server tells of its names."""
    backend = RedisBackend(url, near_cache=NearCache())
    wait_linked(backend)
    return CacheManager(backend, **options)


def backend_of(cache: CacheManager) -> RedisBackend:
    found = cache.backend
    assert isinstance(found, RedisBackend)
    return found


def keep(call: Caller, cache: CacheManager, key: str, value: object) -> None:
    """Write and read, so that it is kept and no news of the write is to come."""
    call(cache, "set", key, value)
    wait_heard(backend_of(cache), shared_server().command)
    assert call(cache, "get", key) == value
    assert entries_of(backend_of(cache)) == [f"symphra:{key}"]


def links() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if "near cache" in thread.name]


@pytest.mark.parametrize("value", ["flat", {"a": [1]}], ids=["shared", "decoded"])
def test_a_backend_that_nobody_holds_is_let_go_with_all_that_is_kept(
    server: RedisServer, call: Caller, value: object
) -> None:
    cache = linked(server.chosen_url)
    before = links()
    keep(call, cache, "key", value)
    mine = weakref.ref(backend_of(cache))
    near = weakref.ref(backend_of(cache)._store.near)  # type: ignore[arg-type]
    del cache
    gc.collect()
    assert mine() is None
    assert near() is None
    until(lambda: len(links()) < len(before))
