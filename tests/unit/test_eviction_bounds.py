"""No sequence of operations makes an eviction policy keep too much, or the wrong thing."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symphra_cache import CacheManager
from symphra_cache._eviction import S3FIFO
from symphra_cache.backends import MemoryBackend
from symphra_cache.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterable

    Policy = Literal["lru", "s3fifo"]
    Operation = tuple[str, str, float | None]

each_policy = pytest.mark.parametrize("policy", ["lru", "s3fifo"])

NAMES = ("get", "set", "add", "delete", "pop", "touch", "incr", "wait")
TTLS = (None, 0, 1, 3)
operations = st.lists(
    st.tuples(
        st.sampled_from(NAMES),
        st.sampled_from([f"k{number}" for number in range(12)]),
        st.sampled_from(TTLS),
    ),
    max_size=120,
)


def check_queues(backend: MemoryBackend) -> None:
    """Check that each entry of S3-FIFO stands in one queue, and that ghosts are bounded."""
    policy = backend._store.policy
    if isinstance(policy, S3FIFO):
        assert policy._small.keys() | policy._main.keys() == policy.entries.keys()
        assert len(policy._small) + len(policy._main) == len(policy.entries)
        assert all(node.queue[name] is node for name, node in policy.entries.items())
        assert len(policy._ghosts) <= backend._store.max_size


class Watched:
    """A cache beside a model without bounds: an eviction may lose an entry, and nothing else."""

    def __init__(self, policy: Policy, max_size: int) -> None:
        self.clock = FakeClock()
        self.max_size = max_size
        self.backend = MemoryBackend(max_size, eviction=policy, clock=self.clock)
        self.cache = CacheManager(self.backend)
        self.model: dict[str, tuple[int, float | None]] = {}
        self.now = 0.0
        self.written = 0

    def run(self, operations: Iterable[Operation]) -> None:
        """Do one after the other; check after each."""
        for name, key, ttl in operations:
            getattr(self, name)(key, ttl)
            assert (self.backend.usage().entries or 0) <= self.max_size
        assert self.cache.count() <= self.max_size
        check_queues(self.backend)

    def expected(self, key: str) -> int | None:
        """Return what lives under a key if it was not evicted."""
        value, deadline = self.model.get(key, (None, None))
        return None if deadline is not None and deadline <= self.now else value

    def stored(self, key: str, value: int, ttl: float | None) -> None:
        """Note a write; what was just written is there."""
        self.model[key] = (value, None if ttl is None else self.now + ttl)
        assert self.cache.exists(key) is (ttl != 0)

    def get(self, key: str, ttl: float | None) -> None:
        assert self.cache.get(key) in {None, self.expected(key)}

    def set(self, key: str, ttl: float | None) -> None:
        self.written += 1
        assert self.cache.set(key, self.written, ttl)
        self.stored(key, self.written, ttl)

    def add(self, key: str, ttl: float | None) -> None:
        self.written += 1
        if self.cache.add(key, self.written, ttl):
            self.stored(key, self.written, ttl)
        else:
            assert self.expected(key) is not None

    def delete(self, key: str, ttl: float | None) -> None:
        assert self.cache.delete(key) <= (self.expected(key) is not None)
        self.model.pop(key, None)
        assert not self.cache.exists(key)

    def pop(self, key: str, ttl: float | None) -> None:
        assert self.cache.pop(key) in {None, self.expected(key)}
        self.model.pop(key, None)
        assert not self.cache.exists(key)

    def touch(self, key: str, ttl: float | None) -> None:
        if self.cache.touch(key, ttl):
            value = self.expected(key)
            assert value is not None
            self.stored(key, value, ttl)

    def incr(self, key: str, ttl: float | None) -> None:
        before, present = self.expected(key), self.cache.exists(key)
        total = self.cache.incr(key, ttl=ttl)
        if present:
            assert before is not None
            assert total == before + 1
            self.model[key] = (total, self.model[key][1])
            assert self.cache.exists(key)
        else:
            assert total == 1
            self.stored(key, total, ttl)

    def wait(self, key: str, ttl: float | None) -> None:
        """Let as much time pass as an entry would have had to live."""
        self.clock.advance(ttl or 0.5)
        self.now += ttl or 0.5


@each_policy
@given(max_size=st.integers(1, 8), operations=operations)
@settings(max_examples=400, deadline=None)
def test_a_cache_never_holds_more_than_it_may(
    policy: Policy, max_size: int, operations: list[Operation]
) -> None:
    Watched(policy, max_size).run(operations)


@each_policy
@pytest.mark.parametrize("max_size", [1, 2, 3, 10, 50])
def test_long_runs_stay_within_bounds(policy: Policy, max_size: int) -> None:
    random = Random(max_size)
    watched = Watched(policy, max_size)
    for among in (1, 2, 5):  # as many keys as there is room for, twice, five times as many
        keys = [str(number) for number in range(max_size * among)]
        watched.run(
            (random.choice(NAMES), random.choice(keys), random.choice(TTLS)) for _ in range(1_500)
        )


@each_policy
def test_entries_that_are_removed_leave_nothing_behind(policy: Policy) -> None:
    watched = Watched(policy, max_size=5)
    for number in range(2_000):
        watched.run([("set", str(number), 3), ("delete", str(number), None)])
    assert watched.backend.usage().entries == 0
    watched.run([("set", "k", 3), ("delete", "k", None)] * 2_000)
    assert watched.backend.usage().entries == 0
    assert watched.backend._store.expiries.size < 1_500  # tidied after 1,024


def test_names_that_come_back_again_and_again_stay_within_bounds() -> None:
    watched = Watched("s3fifo", max_size=10)
    for number in range(2_000):  # each is evicted, remembered, and asked for while a ghost
        watched.run([("set", str(number), None), ("set", str(number - 12), None)])


@each_policy
def test_an_entry_used_often_makes_room_at_last(policy: Policy) -> None:
    watched = Watched(policy, max_size=10)
    for number in range(500):
        watched.run([("set", str(number), None), *[("get", str(number), None)] * 5])
    kept = set(watched.cache.scan())
    assert kept
    assert not kept & {str(number) for number in range(450)}
