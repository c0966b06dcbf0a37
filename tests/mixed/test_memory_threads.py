"""Threads mix every operation on one memory backend: nothing is lost, torn or above a bound."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from memory_checks import LONG, check_whole
from symphra_cache import MISSING, CacheManager
from symphra_cache.backends import MemoryBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

THREADS = 8
OPERATIONS = 2_000_000 if LONG else 200_000
"""Of all four tests together."""

MAX_SIZE, MAX_BYTES = 150, 6_000
# A key's first letter says how long its entries live, and never changes.
TTLS: dict[str, float | None] = {"n": None, "s": 0.01, "l": 1_000}
KEYS = [f"{kind}{number}" for kind in TTLS for number in range(100)]
COUNTERS = [f"{kind}-counter-{number}" for kind in "nl" for number in range(5)]
PRIZES = [f"prize-{number}" for number in range(20)]
OPTIONS: dict[str, dict[str, Any]] = {
    "max_size": {"max_size": MAX_SIZE},
    "max_bytes": {"max_bytes": MAX_BYTES, "sizeof": lambda value: 20 + len(value) * 10},
}


def made(key: str, turn: int) -> Any:
    """Return a value that tells of its key: kept as it is, copied, or pickled."""
    if turn % 3 == 0:
        return key, turn
    return [key, turn, turn] if turn % 3 == 1 else [key, turn, [key, turn]]


def check(key: str, value: Any) -> None:
    """Check that a value is whole, and was stored under this key."""
    turn = value[1]
    assert value == made(key, turn)
    assert type(value) is (tuple if turn % 3 == 0 else list)


class Worker:
    """One thread's share of the work; counts what it does.

    The cache under test is full, so any entry may be gone at any time. Beside it stands a roomy
    one on a backend of the same kind, where nothing may be lost.
    """

    def __init__(self, who: int, cache: CacheManager, roomy: CacheManager) -> None:
        self.random = Random(who)
        self.cache, self.roomy = cache, roomy
        self.temporary = cache.namespace("temporary")
        self.turn = who * 10**6
        self.did: Counter[str] = Counter()
        self.added: Counter[str] = Counter()
        self.operations: list[Callable[[str], None]] = [
            *(self.get, self.get, self.get, self.set, self.set, self.set, self.get_many),
            *(self.set_many, self.add, self.delete, self.delete_many, self.pop, self.touch),
            *(self.look, self.use_temporary, self.incr, self.incr, self.prize),
        ]

    def run(self, operations: int) -> Worker:
        for _ in range(operations // 2):
            self.turn += 1
            self.random.choice(self.operations)(self.random.choice(KEYS))
            self.get(self.random.choice(KEYS))
            if self.turn % 500 == 0:
                self.look_at_all()
        return self

    def read(self, key: str, value: Any) -> None:
        self.did["reads"] += 1
        if value is not MISSING:
            check(key, value)

    def get(self, key: str) -> None:
        self.read(key, self.cache.get(key, MISSING))

    def get_many(self, key: str) -> None:
        keys = self.random.sample(KEYS, 4)
        found = self.cache.get_many(keys)
        assert list(found) == [each for each in keys if each in found]
        for each in keys:
            self.read(each, found.get(each, MISSING))

    def set(self, key: str) -> None:
        assert self.cache.set(key, made(key, self.turn), TTLS[key[0]])
        self.did["writes"] += 1

    def set_many(self, key: str) -> None:
        keys = self.random.sample([each for each in KEYS if each[0] == key[0]], 4)
        assert (
            self.cache.set_many({each: made(each, self.turn) for each in keys}, TTLS[key[0]]) == []
        )
        self.did["writes"] += 4

    def add(self, key: str) -> None:
        self.did["writes"] += self.cache.add(key, made(key, self.turn), TTLS[key[0]])

    def delete(self, key: str) -> None:
        self.did["removed"] += self.cache.delete(key)

    def delete_many(self, key: str) -> None:
        self.did["removed"] += self.cache.delete_many(self.random.sample(KEYS, 3))

    def pop(self, key: str) -> None:
        value = self.cache.pop(key, MISSING)
        self.read(key, value)
        self.did["removed"] += value is not MISSING

    def touch(self, key: str) -> None:
        assert self.cache.touch(key, TTLS[key[0]]) in {True, False}

    def look(self, key: str) -> None:
        """Check that an entry never has the expiry of another."""
        left, kind = self.cache.ttl(key), key[0]
        assert (left is None) is (kind == "n") or left == 0.0
        assert left is None or left <= (TTLS[kind] or 0)
        assert left in {None, 0.0} or kind == "s" or (left or 0) > 500
        assert self.cache.exists(key) in {True, False}

    def look_at_all(self) -> None:
        keys = list(self.cache.scan())
        assert len(keys) == len(set(keys))
        assert set(keys) <= set(KEYS)
        assert self.cache.count() <= len(KEYS)
        self.did["removed"] += self.cache.delete_matching(f"{self.random.choice('nsl')}1?")

    def use_temporary(self, key: str) -> None:
        """Fill a namespace that somebody clears now and then."""
        self.temporary.set(key, made(key, self.turn), TTLS[key[0]])
        self.did["writes"] += 1
        self.read(key, self.temporary.get(key, MISSING))
        if self.turn % 20 == 0:
            self.did["removed"] += self.temporary.clear()

    def incr(self, key: str) -> None:
        counter, delta = self.random.choice(COUNTERS), self.random.randrange(-2, 5)
        self.roomy.incr(counter, delta, ttl=TTLS[counter[0]])
        self.added[counter] += delta
        if self.turn % 10 == 0:
            assert self.roomy.touch(counter, TTLS[counter[0]])

    def prize(self, key: str) -> None:
        """Add and take away what nobody evicts."""
        key = self.random.choice(PRIZES)
        self.added["prizes"] += self.roomy.add(key, made(key, self.turn), ttl=1_000)
        key = self.random.choice(PRIZES)
        if self.turn % 2:
            self.added["prizes"] -= self.roomy.delete(key)
        elif (value := self.roomy.pop(key, MISSING)) is not MISSING:
            check(key, value)
            self.added["prizes"] -= 1


class Watcher(threading.Thread):
    """Looks at the statistics all the time, and keeps the largest."""

    def __init__(self, cache: CacheManager) -> None:
        super().__init__(daemon=True)
        self.cache = cache
        self.over = threading.Event()
        self.looks = self.entries = self.bytes = 0

    def run(self) -> None:
        while not self.over.wait(0.0002):
            stats = self.cache.stats()
            self.looks += 1
            self.entries = max(self.entries, stats.entries or 0)
            self.bytes = max(self.bytes, stats.bytes or 0)

    def __enter__(self) -> Watcher:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.join(10)


@pytest.fixture
def _taking_turns() -> Iterator[None]:
    """Have threads take turns in the middle of operations."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("_taking_turns")
@pytest.mark.timeout(1_200 if LONG else 120)
@pytest.mark.parametrize("bound", OPTIONS)
@pytest.mark.parametrize("policy", ["lru", "s3fifo"])
def test_threads_lose_nothing(policy: Any, bound: str) -> None:
    backend = MemoryBackend(eviction=policy, **OPTIONS[bound])
    beside = MemoryBackend(eviction=policy, max_bytes=10**9)
    with CacheManager(backend) as cache, CacheManager(beside) as roomy:
        workers = [Worker(who, cache, roomy) for who in range(THREADS)]
        started = time.perf_counter()
        with Watcher(cache) as watcher, ThreadPoolExecutor(THREADS) as pool:
            share = OPERATIONS // len(OPTIONS) // 2 // THREADS
            for done in [pool.submit(worker.run, share) for worker in workers]:
                done.result()
        took = time.perf_counter() - started
        check_counts(cache, workers)
        check_bounds(cache, watcher, bound)
        check_roomy(roomy, workers)
        check_whole(backend)
        check_whole(beside)
        check_expired(cache)
        print(
            f"{share * THREADS} operations in {took:.1f} s, {cache.stats()}, {watcher.looks} looks"
        )


def check_counts(cache: CacheManager, workers: list[Worker]) -> None:
    """Check that each operation was counted once."""
    did = sum((worker.did for worker in workers), Counter[str]())
    stats = cache.stats()
    assert stats.hits + stats.misses == did["reads"]
    assert min(stats.hits, stats.misses) > did["reads"] // 20
    assert stats.sets == did["writes"]
    assert stats.deletes == did["removed"]
    assert (stats.corrupt, stats.errors) == (0, 0)
    assert (stats.evictions or 0) > 100
    assert (stats.expirations or 0) > 0


def check_bounds(cache: CacheManager, watcher: Watcher, bound: str) -> None:
    """Check that neither bound was ever exceeded, nor left far below."""
    assert watcher.looks > 20
    if bound == "max_size":
        assert MAX_SIZE * 0.8 < watcher.entries <= MAX_SIZE
    else:
        assert MAX_BYTES * 0.8 < watcher.bytes <= MAX_BYTES


def check_roomy(roomy: CacheManager, workers: list[Worker]) -> None:
    """Check that no addition was lost, and that each prize was won and taken away once."""
    added: Counter[str] = Counter()
    for worker in workers:
        added.update(worker.added)
    assert roomy.get_many(COUNTERS) == {counter: added[counter] for counter in COUNTERS}
    assert len(roomy.get_many(PRIZES)) == added["prizes"]
    assert roomy.stats().evictions == roomy.stats().expirations == 0


def check_expired(cache: CacheManager) -> None:
    """Check that what lives shortly is gone, and nothing else is."""
    time.sleep(0.05)
    kept = set(cache.scan())
    assert kept
    assert {key[0] for key in kept} == {"n", "l"}
