"""A memory backend over time: no write takes long, and nothing is held for longer than needed."""

from __future__ import annotations

import gc
import threading
import tracemalloc
import weakref
from contextlib import contextmanager
from time import thread_time
from typing import TYPE_CHECKING, Any

import pytest

from memory_checks import LONG, check_deadlines, check_whole, deadlines_of
from symphra_cache import CacheManager
from symphra_cache.backends import MemoryBackend
from symphra_cache.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ENTRIES = 1_000_000 if LONG else 200_000
DROPPED_BY_ONE_WRITE = 16
LOOKED_AT_FOR_ROOM = 16 + 256
BACKENDS = 200

TTLS: dict[str, Callable[[int], float]] = {
    "one ttl": lambda number: 60,
    "many ttls": lambda number: 30 + number * 7919 % 30_000 / 1_000,
}
each_policy = pytest.mark.parametrize("policy", ["lru", "s3fifo"])
each_ttls = pytest.mark.parametrize("ttls", TTLS)
patient = pytest.mark.timeout(600 if LONG else 120)


class Thing:
    """A value that a weak reference can watch."""


class Timed:
    """Writes, and keeps how long the processor was at each write, in seconds.

    What the garbage collector takes is left out: with a million objects one of its rounds holds
    up whatever allocates, for longer than any write.
    """

    def __init__(self, cache: CacheManager) -> None:
        self.cache = cache
        self.took: list[float] = []
        gc.disable()

    def set(self, key: str, ttl: float | None = None) -> None:
        started = thread_time()
        self.cache.set(key, 1, ttl)
        self.took.append(thread_time() - started)

    def check(self, name: str) -> None:
        """Print how long writes took; fail if that is another order of magnitude."""
        gc.enable()
        ordered = sorted(self.took)
        least, most = ordered[len(ordered) * 999 // 1_000], ordered[-1]
        median = ordered[len(ordered) // 2]
        print(
            f"{name}: {len(ordered)} sets, median {median * 1e6:.1f} µs, "
            f"p99.9 {least * 1e6:.0f} µs, max {most * 1e3:.2f} ms"
        )
        assert least < 0.01


@pytest.fixture(autouse=True)
def _collected_again() -> Iterator[None]:
    """Let a failed test leave nothing switched off."""
    yield
    gc.enable()


def filled(policy: Any, ttls: str, **options: Any) -> tuple[CacheManager, FakeClock]:
    clock = FakeClock()
    cache = CacheManager(MemoryBackend(eviction=policy, clock=clock, **options))
    for number in range(ENTRIES):
        cache.set(f"k{number}", 1, TTLS[ttls](number))
    assert entries_in(cache) == ENTRIES
    return cache, clock


def entries_in(cache: CacheManager) -> int:
    entries = cache.stats().entries
    assert entries is not None
    return entries


def due(cache: CacheManager, clock: FakeClock) -> int:
    """Return how many deadlines have passed that no write has looked at."""
    queue = cache.backend._store.expiries  # type: ignore[attr-defined]
    return sum(deadline <= clock.monotonic_ns() for deadline, _ in deadlines_of(queue))


@contextmanager
def refcounts_alone() -> Iterator[None]:
    """Keep the garbage collector from helping."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextmanager
def traced() -> Iterator[Callable[[], int]]:
    """Give what tells how many bytes were allocated since."""
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        yield lambda: tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


@patient
@each_ttls
@each_policy
def test_entries_that_expire_at_once_hold_up_no_write(policy: str, ttls: str) -> None:
    cache, clock = filled(policy, ttls, max_size=None)
    clock.advance(60)
    timed, writes = Timed(cache), 0
    while (left := entries_in(cache)) > writes:
        timed.set(f"new-{writes}", None if writes % 2 else 1_000)
        writes += 1
        assert left + 1 - entries_in(cache) <= DROPPED_BY_ONE_WRITE
        assert writes <= ENTRIES // DROPPED_BY_ONE_WRITE + 1
    assert cache.stats().expirations == ENTRIES
    assert cache.count() == writes
    timed.check(f"{ENTRIES} expired entries, {policy}, {ttls}")


@patient
@each_policy
def test_entries_that_expire_at_once_hold_up_no_write_to_a_full_cache(policy: str) -> None:
    cache, clock = filled(policy, "one ttl", max_size=ENTRIES)
    clock.advance(60)
    timed, writes = Timed(cache), 0
    while entries_in(cache) > writes:
        timed.set(f"new-{writes}", 1_000)
        writes += 1
    assert writes <= ENTRIES // DROPPED_BY_ONE_WRITE + 1
    assert (cache.stats().expirations, cache.stats().evictions) == (ENTRIES, 0)
    timed.check(f"{ENTRIES} expired entries, {policy}, full")


@patient
@each_ttls
@each_policy
def test_prolonged_entries_hold_up_no_write_to_a_full_cache(policy: str, ttls: str) -> None:
    cache, clock = filled(policy, ttls, max_size=ENTRIES)
    for number in range(ENTRIES):
        assert cache.touch(f"k{number}", 600)
    clock.advance(60)
    assert due(cache, clock) == ENTRIES
    cache.set("first", 1)
    assert ENTRIES - due(cache, clock) <= LOOKED_AT_FOR_ROOM
    timed, writes = Timed(cache), ENTRIES // 16
    for number in range(writes):
        timed.set(f"new-{number}", 600)
    assert entries_in(cache) == ENTRIES
    assert (cache.stats().expirations, cache.stats().evictions) == (0, 1 + writes)
    timed.check(f"{ENTRIES} prolonged entries, {policy}, {ttls}")
    clock.advance(540)
    for number in range(ENTRIES // DROPPED_BY_ONE_WRITE):
        cache.set("last", number)
    assert entries_in(cache) == cache.count() == 2 + writes
    check_deadlines(cache.backend)  # type: ignore[arg-type]
    check_whole(cache.backend)  # type: ignore[arg-type]


@patient
def test_a_collection_of_garbage_is_not_needed_to_drop_a_full_cache() -> None:
    threads = threading.active_count()
    things = []
    with refcounts_alone():
        for number in range(BACKENDS):
            things += drop_one(number, "lru")
        assert not [thing for thing in things if thing() is not None]
    assert len(things) == BACKENDS * 3
    assert threading.active_count() == threads


def drop_one(number: int, policy: Any) -> list[weakref.ref[Thing]]:
    """Make a cache, use it, and let go of it; return what watches its values."""
    backend = MemoryBackend(50, isolation="shared", eviction=policy)
    cache = CacheManager(backend, jitter=0.1 * (number % 2))
    users = cache.namespace("users")
    values = [Thing(), Thing(), Thing()]
    for turn in range(100):
        cache.set(f"k{turn}", turn, ttl=60)
        users.add(f"k{turn}", turn)
    cache.set("k", values[0], ttl=60)
    users.set("k", values[1])
    cache.namespace("a").namespace("b").set("k", values[2], ttl=5)
    assert cache.get("k") is values[0]
    assert users.get_many(["k"]) == {"k": values[1]}
    return [weakref.ref(value) for value in values]


@patient
@each_policy
def test_caches_that_are_dropped_leave_no_memory_behind(policy: str) -> None:
    threads = threading.active_count()
    with traced() as allocated:
        one = fill_and_drop(policy, 1)
        after_one = allocated()
        fill_and_drop(policy, BACKENDS)
        gc.collect()
        left = allocated()
    print(f"{policy}: {one} bytes when full, {left - after_one} left by {BACKENDS}")
    assert one > 100_000
    assert left - after_one < one
    assert threading.active_count() == threads


def fill_and_drop(policy: Any, times: int) -> int:
    """Make caches, fill them and drop them; return the bytes that the last one took."""
    for _ in range(times):
        before, _ = tracemalloc.get_traced_memory()
        cache = CacheManager(MemoryBackend(500, eviction=policy), default_ttl=60)
        cache.set_many({f"k{number}": [number] for number in range(600)})
        for user in range(10):
            each = cache.namespace(f"user-{user}")
            for number in range(60):
                each.set(f"k{number}", {"a": number}, ttl=number + 1)
        after, _ = tracemalloc.get_traced_memory()
    return after - before


@each_policy
def test_closing_releases_values_at_once(policy: Any) -> None:
    with refcounts_alone():
        cache = CacheManager(MemoryBackend(eviction=policy, isolation="shared"))
        users, value, other = cache.namespace("users"), Thing(), Thing()
        watched = [weakref.ref(value), weakref.ref(other)]
        cache.set("k", value, ttl=60)
        users.set("k", other)
        del value, other
        assert cache.get("k") is watched[0]()
        cache.close()
        assert [each() for each in watched] == [None, None]
    assert entries_in(cache) == 0


@each_policy
@pytest.mark.parametrize("remove", ["delete", "pop", "clear", "set", "evict", "expire"])
def test_what_is_removed_is_released_at_once(policy: Any, remove: str) -> None:
    clock = FakeClock()
    with refcounts_alone():
        backend = MemoryBackend(2, eviction=policy, isolation="shared", clock=clock)
        cache, value = CacheManager(backend), Thing()
        watched = weakref.ref(value)
        cache.set("k", value, ttl=60)
        del value
        if remove == "evict":
            cache.set_many(dict.fromkeys("abcd", 1))
        elif remove == "expire":
            clock.advance(60)
            cache.set("l", 1)
        elif remove == "clear":
            cache.clear()
        elif remove == "set":
            cache.set("k", 1)
        else:
            getattr(cache, remove)("k")
        assert watched() is None
