"""The queue of deadlines: nothing that expires is forgotten, and leftovers stay few."""

from __future__ import annotations

from math import inf
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_checks import deadlines_of
from symphra_cache._expiry import ExpiryQueue

if TYPE_CHECKING:
    from collections.abc import Callable

    from symphra_cache._eviction.lru import Entry

    Operation = tuple[str, str, int]

SLACK = 2_100
"""Leftovers that don't count: the queue tolerates 1,024, and takes its time above that."""

FEW = (1, 2, 5, 60)
NAMES = [f"k{number}" for number in range(8)]
operations = st.lists(
    st.tuples(
        st.sampled_from(["write", "write", "write", "remove", "evict", "wait", "sweep"]),
        st.sampled_from(NAMES),
        st.one_of(st.sampled_from(FEW), st.integers(1, 100)),
    ),
    max_size=150,
)


def queue_of(entries: dict[Any, Entry], resolution: float = 0) -> ExpiryQueue:
    """Return a queue for these entries."""
    return ExpiryQueue(resolution, entries, entries.get)


def tidy(queue: ExpiryQueue, times: int) -> None:
    """Have a queue tidy as it does when something is pushed."""
    for _ in range(times):
        queue._tidy()


class Owner:
    """Uses a queue as a store does, and checks it against its own entries."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.queue = queue_of(self.entries)
        self.now = 0.0
        self.most = 0
        self.largest = 0

    def run(self, operations: list[Operation]) -> None:
        """Do one after the other; check after each."""
        for name, key, ttl in operations:
            getattr(self, name)(key, ttl)
            self.check()

    def write(self, key: str, ttl: int, gone: float | None = None) -> None:
        """Store an entry; if it lives longer than before, its deadline is not searched for."""
        deadline = self.now + ttl
        previous = self.entries.get(key)
        if previous is not None and previous[1] is not None and previous[1] <= deadline:
            assert previous[3] is not None
            self.entries[key] = (ttl, deadline, None, previous[3])
            return
        # As the store does: the deadline comes first.
        queued = self.queue.push(deadline, key, ttl, gone)
        self.entries[key] = (ttl, queued, None, queued)
        self.most = max(self.most, len(self.entries))
        self.largest = max(self.largest, self.queue.size)

    def remove(self, key: str, ttl: int = 0) -> None:
        self.entries.pop(key, None)

    def evict(self, key: str, ttl: int) -> None:
        """Have the oldest entry go for a new one, and tell the queue."""
        self.remove(key)
        gone = None
        if self.entries:
            gone = self.entries.pop(next(iter(self.entries)))[3]
        self.write(key, ttl, gone)

    def wait(self, key: str, ttl: int) -> None:
        self.now += ttl / 2

    def sweep(self, key: str = "", limit: int = 16) -> int:
        """Drop what has expired, after so many looks; return how many there were."""
        due = self.queue.due(self.now, limit)
        assert len(due) <= limit
        dropped = 0
        for queued, name in due:
            assert queued <= self.now
            entry = self.entries.get(name)
            if entry is None or entry[3] is not queued:
                continue
            deadline = entry[1]
            assert deadline is not None
            if deadline <= self.now:
                del self.entries[name]
                dropped += 1
            else:
                self.queue.push(deadline, name, None)
                self.entries[name] = (entry[0], deadline, None, deadline)
        return dropped

    def sweep_all(self) -> int:
        """Sweep until nothing is due; return how many entries were dropped."""
        dropped = 0
        while self.queue.next_due <= self.now:
            dropped += self.sweep()
        return dropped

    def check(self) -> None:
        """Check that the queue knows every entry, and counts right."""
        known = deadlines_of(self.queue)
        assert self.queue.size == len(known)
        assert self.queue.next_due <= min((deadline for deadline, _ in known), default=inf)
        named = {id(deadline): name for deadline, name in known}
        for name, (_, deadline, _, queued) in self.entries.items():
            assert deadline is not None
            assert queued is not None
            assert self.queue.next_due <= queued <= deadline
            assert named.get(id(queued)) == name


@given(operations)
@settings(max_examples=500, deadline=None)
def test_every_deadline_that_passed_is_found(operations: list[Operation]) -> None:
    owner = Owner()
    owner.run(operations)
    living = {name for name, entry in owner.entries.items() if (entry[1] or 0) > owner.now}
    owner.sweep_all()
    owner.check()
    assert owner.entries.keys() == living
    owner.now += 101
    assert owner.sweep_all() == len(living)
    assert owner.entries == {}
    assert owner.queue.size == 0
    assert owner.queue.next_due == inf


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 5)), max_size=200))
@settings(max_examples=200, deadline=None)
def test_deadlines_of_one_ttl_come_in_order(written: list[tuple[int, int]]) -> None:
    queue, now, expected = queue_of({}), 0, 0
    for number, (ttl, pause) in enumerate(written):
        now += pause
        queue.push(float(now + ttl), number, ttl)
    found: dict[int, list[tuple[float, int]]] = {}
    for limit in [1, 3, 7] * len(written):
        due = queue.due(now, limit)
        expected += len(due)
        for deadline, number in due:
            found.setdefault(written[number][0], []).append((deadline, number))
    assert all(each == sorted(each) for each in found.values())
    assert expected + queue.size == len(written)
    assert queue.next_due > now
    assert [deadline for deadline, _ in queue.due(10**9, 10**9)] or expected == len(written)


def test_deadlines_of_many_ttls_come_in_order() -> None:
    queue, random = queue_of({}), Random(1)
    queue.limit = 10_000  # nothing is tidied
    for number in range(16):
        queue.push(float(10_000 + number), f"lane-{number}", number + 10**6)
    deadlines = [random.random() * 1_000 for _ in range(2_000)]
    for number, deadline in enumerate(deadlines):
        queue.push(deadline, f"k{number}", number)
    found = []
    while queue.next_due <= 1_000:
        found += [deadline for deadline, _ in queue.due(1_000, 16)]
    assert found == sorted(deadlines)
    assert queue.next_due == 10_000


def test_next_due_is_exact_after_looking() -> None:
    queue, random = queue_of({}), Random(2)
    left = set()
    for number in range(1_000):
        ttl = random.choice([*FEW, None])
        deadline = float(number // 2 if ttl else random.randrange(500))
        queue.push(deadline, number, ttl)
        left.add((deadline, number))
    for now in range(0, 500, 7):
        left -= set(queue.due(now, 50))
        assert queue.next_due == min(deadline for deadline, _ in left)
        assert queue.size == len(left)


def same(number: int) -> Operation:
    return ("write", "k", 1_000)


def growing(number: int) -> Operation:
    return ("write", "k", 1_000 + number)


def shrinking(number: int) -> Operation:
    return ("write", "k", 100_000 - number)


def delete_and_set(number: int) -> Operation:
    return ("remove" if number % 2 else "write", f"k{number // 2 % 100}", 1_000)


def delete_later(number: int) -> Operation:
    key = number // 2
    return ("remove", f"k{key - 90}", 0) if number % 2 else ("write", f"k{key}", 1_000)


def evicted_in_order(number: int) -> Operation:
    return ("evict" if number > 500 else "write", f"k{number}", 1_000)


def evicted_with_two_ttls(number: int) -> Operation:
    return ("evict" if number > 500 else "write", f"k{number}", 1_000 + number % 2)


WORKLOADS: list[Callable[[int], Operation]] = [
    *(same, growing, shrinking, delete_and_set, delete_later),
    *(evicted_in_order, evicted_with_two_ttls),
]


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda each: each.__name__)
def test_leftovers_are_tidied(workload: Callable[[int], Operation]) -> None:
    owner = Owner()
    for number in range(20_000):
        name, key, ttl = workload(number)
        getattr(owner, name)(key, ttl)
        if number % 100 == 0:
            owner.now += 0.001
        if number % 1_000 == 999:
            owner.check()
    print(f"{owner.most} entries at the most, {owner.largest} deadlines")
    assert owner.largest <= 2 * owner.most + SLACK
    left = len(owner.entries)
    owner.now += 10**6
    assert owner.sweep_all() == left
    assert owner.queue.size == 0


def test_tidying_looks_at_few_deadlines_each_time() -> None:
    looks = 0
    kept = 5_000.0

    def find(name: Any) -> Entry | None:
        nonlocal looks
        looks += 1
        return (None, kept, None, kept) if name == "kept" else None

    queue = ExpiryQueue(0, {"kept": None}, find)
    queue.push(kept, "kept", 5_000)
    most = 0
    for number in range(20_000):
        before = looks
        queue.push(6_000.0 + number / 1_000, number, 6_000 + number % 40)
        most = max(most, looks - before)
    assert 0 < most <= 16 * 8 + 8  # lanes and steps
    assert queue.size < SLACK
    assert "kept" in {name for _, name in deadlines_of(queue)}


def half_tidied(ttls: int) -> tuple[ExpiryQueue, dict[int, Entry], list[tuple[float, int]]]:
    """Return a queue in the middle of tidying: one deadline in five means something."""
    random = Random(4)
    entries: dict[int, Entry] = {}
    queue = queue_of(entries)
    queue.limit = 10_000
    pushed = []
    for number in range(6_000):
        deadline = 10_000.0 + number + (random.random() * 1_000 if ttls > 16 else 0)
        queue.push(deadline, number, number % ttls)
        if number % 5 == 0:
            entries[number] = (None, deadline, None, deadline)
            pushed.append((deadline, number))
    queue.limit = 0
    tidy(queue, 300)
    assert len(pushed) < queue.size < 6_000
    return queue, entries, sorted(pushed)


@pytest.mark.parametrize("ttls", [1, 4, 1_000])
def test_tidying_keeps_what_means_something(ttls: int) -> None:
    queue, entries, pushed = half_tidied(ttls)
    replaced = {number for _, number in pushed[::7]}
    for number in replaced:  # the queue knows them by deadlines that mean nothing any more
        entries[number] = (None, 20_000.0, None, 20_000.0)
    tidy(queue, 2_000)
    found = sorted(deadlines_of(queue))
    kept = [each for each in pushed if each[1] not in replaced]
    assert set(kept) <= set(found) <= set(pushed)
    assert len(pushed) - len(found) > len(replaced) // 4
    assert queue.size == len(found)


@pytest.mark.parametrize("ttls", [1, 1_000])
def test_deadlines_come_in_order_in_the_middle_of_tidying(ttls: int) -> None:
    queue, entries, pushed = half_tidied(ttls)
    found = []
    while queue.next_due < inf:
        found += queue.due(10**9, 10)
    lanes = 16 if ttls > 16 else 1
    firsts = [each for each in found if each[1] % ttls >= 16] if lanes > 1 else found
    assert [deadline for deadline, _ in firsts] == sorted(deadline for deadline, _ in firsts)
    assert sorted(each for each in found if each[1] in entries) == pushed


def test_a_swept_queue_forgets_ttls_that_nobody_uses_any_more() -> None:
    queue = queue_of({})
    for ttl in range(1, 200):
        queue.push(float(ttl), "k", ttl)
        assert queue.due(ttl, 16)
    assert len(queue._lanes) <= 16
    queue.push(1_000.0, "k", 12_345)
    assert 12_345 in queue._lanes


def test_names_need_not_be_comparable() -> None:
    queue = queue_of({})
    names = [object() for _ in range(50)]
    for name in names:
        queue.push(5.0, name, None)
    assert [name for _, name in queue.due(5.0, 100)] == names


def test_deadlines_nearer_than_the_resolution_are_one() -> None:
    queue = queue_of({}, resolution=0.001)
    pushed = [queue.push(*each) for each in ((5.0, "a", 5), (5.0009, "b", 5), (5.002, "c", 5))]
    assert pushed == [5.0, 5.0, 5.002]
    assert pushed[0] is pushed[1]
    assert queue.push(5.0005, "d", 6) == 5.0005  # another ttl
    assert queue.push(5.0006, "e", None) == 5.0006
    assert {name for _, name in queue.due(5.001, 100)} == {"a", "b", "d", "e"}


def test_what_is_being_written_is_not_tidied_away() -> None:
    """Its deadline is pushed before its entry is there."""
    owner, random = Owner(), Random(5)
    for number in range(8_000):
        if number % 5:
            owner.remove(f"k{number - 3}")
        owner.write(f"k{number}", random.randint(1, 10**6))
    owner.check()
    assert owner.queue.size < 2 * len(owner.entries) + SLACK
