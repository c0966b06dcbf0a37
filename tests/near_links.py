"""Waits for the links of near caches: until they tell, and until they have told.

What a link has told can't be seen from outside, so these look inside.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from redis.crc import key_slot

from symphra_cache import _redis_link
from symphra_cache._redis_near import Epoch
from symphra_cache.backends import RedisBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redis_servers import RedisServer
    from symphra_cache import CacheManager

_SECONDS = 20.0


def backend_of(cache: CacheManager) -> RedisBackend:
    """Return the backend of a manager."""
    assert isinstance(cache.backend, RedisBackend)
    return cache.backend


def keep(cache: CacheManager, server: RedisServer, key: str = "k") -> Any:
    """Read a value, blocking, so that it is near and stays so; return it."""
    backend = backend_of(cache)
    wait_linked(backend, cache._path)
    # What is told of writes so far would take it away.
    wait_heard(backend, server.command, cache._path)

    def read() -> bool:
        cache.get(key)
        return f"{cache._path}:{key}" in entries_of(backend)

    until(read)
    return cache.get(key)


@contextmanager
def steady_links() -> Iterator[None]:
    """Have links ask seldom and trust for long: what is near stays, however busy the machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_redis_link, "PROBE_EVERY", 30.0)
        patch.setattr(_redis_link, "TRUSTED", 300.0)
        yield


def told(caplog: pytest.LogCaptureFixture) -> list[bool]:
    """Return what the log has heard of near caches: whether they were on again."""
    records = [record for record in caplog.records if "near cache" in record.msg]
    return [record.reason is None for record in records]  # type: ignore[attr-defined]


def near_of(backend: RedisBackend) -> Any:
    """Return the near cache of a backend."""
    near = backend._store.near
    assert near is not None
    return near


def entries_of(backend: RedisBackend) -> list[str]:
    """Return the names that would be answered from memory now."""
    return [name for name in list(near_of(backend).table.entries) if _is_served(backend, name)]


def _is_served(backend: RedisBackend, name: str) -> bool:
    entry = near_of(backend).table.entries.get(name)
    now = time.monotonic()
    return entry is not None and now < entry[0].until and now < entry[2]


def wait_linked(backend: RedisBackend, namespace: str = "symphra") -> None:
    """Wait until every server tells of the names of a namespace."""
    tracking, prefix = near_of(backend)._tracking, f"{namespace}:".encode()
    until(lambda: backend.ping() and _all_told_of(tracking, prefix))


def _all_told_of(tracking: Any, prefix: bytes) -> bool:
    return all(tracking.epoch(name, prefix) is not None for name in _names(tracking, prefix))


def wait_heard(
    backend: RedisBackend, command: Callable[..., Any], namespace: str = "symphra"
) -> None:
    """Wait until what was written before has been heard: news comes in the order of the writes.

    Args:
        backend: who is to have heard. Its links are up, or nothing is waited for.
        command: sends a command past the cache.
        namespace: one that it reads from.
    """
    near, prefix = near_of(backend), f"{namespace}:".encode()
    for name in _names(near._tracking, prefix):
        if near._tracking.epoch(name, prefix) is None:
            continue
        text = name.decode()
        near.table.entries[text] = (Epoch(), None, 0.0, None)
        command("SET", name, b"", "PX", 60_000)
        command("DEL", name)
        until(lambda text=text: text not in near.table.entries)  # type: ignore[misc]


def until(condition: Callable[[], object], seconds: float = _SECONDS) -> None:
    """Wait until a condition holds; fail if it does not in so many seconds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.001)


def _names(tracking: Any, prefix: bytes) -> Iterator[bytes]:
    """Yield a name on each server, that no test uses."""
    cluster = tracking._cluster
    if cluster is None or cluster.slots is None:
        yield prefix + b"\0heard"
        return
    wanted = set(cluster.slots.primaries)
    for number in count():
        name = prefix + b"\0heard%d" % number
        address = cluster.owner(key_slot(name))
        if address in wanted:
            wanted.remove(address)
            yield name
        if not wanted:
            return
