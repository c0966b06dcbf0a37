"""A scan over a cluster whose slots move, in every order: a model, no server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import exceptions

from symphra_cache._redis_scan import ClusterScan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from symphra_cache._redis_slots import Address

NODES = ("aa", "bb", "cc")
SLOTS = range(4)
NAMES = [(slot, number) for slot in SLOTS for number in range(2)]


class Model:
    """Three primaries, a few slots and two names in each, which move as in Redis."""

    def __init__(self, owners: list[str]) -> None:
        self.owners = dict(zip(SLOTS, owners, strict=True))
        self.place = {name: self.owners[name[0]] for name in NAMES}
        self.open: dict[int, str] = {}  # slots on their way, and where to
        self.claimed: set[int] = set()  # those that arrived; who had them does not know yet
        self.epochs = {node: number for number, node in enumerate(NODES, 1)}

    def told(self) -> list[tuple[Address, bytes]]:
        """Return what each node replies to ``CLUSTER NODES``."""
        return [((node, 1), self._lines(node)) for node in NODES]

    def _lines(self, asked: str) -> bytes:
        lines = []
        for node in NODES:
            mine = [str(slot) for slot in SLOTS if self._serves(node, slot)]
            if node == asked:
                mine += [f"[{slot}{arrow}]" for slot, arrow in self._arrows(node)]
            flags = "myself,master" if node == asked else "master"
            words = [node, f"{node}:1@2", flags, "-", "0", "0", str(self.epochs[node]), "connected"]
            lines.append(" ".join(words + mine))
        return "\n".join(lines).encode()

    def _serves(self, node: str, slot: int) -> bool:
        return node == self.owners[slot] or (slot in self.claimed and node == self.open[slot])

    def _arrows(self, node: str) -> Iterator[tuple[int, str]]:
        for slot, to in self.open.items():
            if node == self.owners[slot]:
                yield slot, f"->-{to}"
            elif node == to and slot not in self.claimed:
                yield slot, f"-<-{self.owners[slot]}"

    def act(self, slot: int, to: str) -> None:
        """Take the next step of a slot's move, or begin one."""
        if slot not in self.open:
            if self.owners[slot] != to:
                self.open[slot] = to
            return
        left = [name for name in NAMES if name[0] == slot and self.place[name] != self.open[slot]]
        if left:
            self.place[left[0]] = self.open[slot]
            return
        if slot in self.claimed:
            self.claimed.remove(slot)
            self.owners[slot] = self.open.pop(slot)
            return
        self.claimed.add(slot)
        target = self.open[slot]
        if self.epochs[target] != max(self.epochs.values()):
            self.epochs[target] = max(self.epochs.values()) + 1

    def page(self, node: str, after: tuple[int, int] | None) -> tuple[int, int] | None:
        """Return the name that a node's scan shows next."""
        here = [name for name in NAMES if self.place[name] == node and (not after or name > after)]
        return min(here, default=None)


Steps = list[tuple[int, str, int]]


def scanned(model: Model, pauses: Iterator[Steps]) -> set[tuple[int, int]]:
    """Scan; what the model does in the pauses between two pages is given."""

    def pause() -> None:
        for slot, to, steps in next(pauses, []):
            for _ in range(steps):
                model.act(slot, to)

    found: set[tuple[int, int]] = set()
    scan = ClusterScan()
    scan.look(model.told())
    while not scan.is_over:
        for node, _ in scan.due():
            last = None
            pause()
            while name := model.page(node, last):
                found.add(name)
                last = name
                pause()
        scan.look(model.told())
    return found


STEPS = st.tuples(st.sampled_from(SLOTS), st.sampled_from(NODES), st.sampled_from([5, 1, 2, 10]))
PAUSES = st.lists(st.lists(STEPS, max_size=3), max_size=16)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(NODES), min_size=4, max_size=4), PAUSES)
def test_every_name_is_seen_however_slots_move(owners: list[str], pauses: list[Steps]) -> None:
    assert scanned(Model(owners), iter(pauses)) == set(NAMES)


def test_what_was_on_its_way_at_either_look_is_looked_for_where_it_went() -> None:
    model = Model(["bb"] * 4)
    scan = ClusterScan()
    model.act(0, "aa")
    scan.look(model.told())
    assert scan.due() == [("aa", 1), ("bb", 1), ("cc", 1)]
    scan.look(model.told())
    assert scan.due() == [("aa", 1)]
    scan.look(model.told())
    assert scan.is_over


def test_moves_that_stand_still_end_no_scan_in_an_error() -> None:
    """Somebody has left them open, to and fro."""
    model = Model(["aa", "bb", "aa", "bb"])
    for slot, to in enumerate(["bb", "aa", "bb", "aa"]):
        model.act(slot, to)
    assert scanned(model, iter([])) == set(NAMES)


def test_what_has_moved_is_looked_for_where_it_is() -> None:
    model = Model(["bb"] * 4)
    scan = ClusterScan()
    scan.look(model.told())
    for _ in range(5):
        model.act(0, "aa")
    scan.look(model.told())
    assert scan.due() == [("aa", 1)]
    # What it received from others, whom nobody scanned since, has been seen.
    for _ in range(5):
        model.act(1, "cc")
    scan.look(model.told())
    assert scan.is_over


def test_slots_that_move_without_end_end_a_scan() -> None:
    model = Model(["bb"] * 4)
    scan = ClusterScan()

    def look_on() -> None:
        for _ in range(100):
            scan.look(model.told())
            assert not scan.is_over
            for _ in range(5):
                model.act(0, "aa" if model.owners[0] == "bb" else "bb")

    with pytest.raises(exceptions.ClusterDownError):
        look_on()


def test_names_of_nodes_are_read_as_servers_write_them() -> None:
    lines = (
        "aa 127.0.0.1:1@2 myself,master - 0 0 1 connected 0-5 [9->-bb]\n"
        "bb ::1:7002@17002,name master - 0 0 2 connected 6-16383\n"
        "cc :7003@17003,,shard-id=0 master - 0 0 3 connected\n"
        "dd 10.0.0.4:7004@17004 slave,fail aa 0 0 1 connected\n"
    )
    scan = ClusterScan()
    scan.look([(("asked", 1), lines)])
    assert scan.due() == [("asked", 1)]
    scan.look([(("asked", 1), lines)])
    assert scan.due() == [("::1", 7002)]


def test_what_nobody_has_for_a_moment_is_looked_for_everywhere() -> None:
    def lines(a: str, b: str) -> list[tuple[Address, bytes]]:
        return [
            ((node, 1), f"{node} {node}:1@2 myself,master - 0 0 1 connected {slots}".encode())
            for node, slots in (("aa", a), ("bb", b))
        ]

    scan = ClusterScan()
    scan.look(lines("0-9", "10-16383"))
    scan.look(lines("1-9", "10-16383"))
    assert scan.due() == [("aa", 1), ("bb", 1)]
    scan.look(lines("1-9", "0 10-16383"))
    assert scan.due() == [("bb", 1)]
    scan.look(lines("1-9", "0 10-16383"))
    assert scan.is_over
