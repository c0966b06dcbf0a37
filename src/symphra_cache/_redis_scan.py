"""How far a scan is: over one server, and over all primaries of a cluster. No I/O here.

The promise is that every key is seen that lives through the whole scan. A cursor means something
to the server alone that gave it. So the server's name of this life, its run id, comes with each
page, and where it changes, after a quick restart or a failover, the server is scanned anew.
"""

from __future__ import annotations

import re
from collections import Counter

from symphra_cache._redis_errors import is_answer
from symphra_cache._redis_slots import SLOTS, told_host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from symphra_cache._redis_slots import Address

__all__ = ["BATCH", "ClusterScan", "ServerScan"]

BATCH = 500
"""Names that one round trip of ``scan``, ``count``, ``clear`` and bulk deletes takes."""

_RUN_ID = re.compile("run_id:([0-9a-f]+)")
# So often what a scan has been through may have to be gone through again.
_SWEEPS = 10
# So often a server may be another one before it is taken for several behind one address.
_CHANGES = 10


class ServerScan:
    """One server's names, page by page."""

    def __init__(self, pattern: bytes) -> None:
        self.is_over: bool = False
        self._pattern = pattern
        self._cursor = b"0"
        self._run_id: str | None = None
        self._changes = 0

    def commands(self) -> list[tuple[Any, ...]]:
        """Return what to ask for the next page."""
        scan = ("SCAN", self._cursor, "MATCH", self._pattern, "COUNT", BATCH)
        return [scan, ("INFO", "server")]

    def read(self, page: Any, info: Any) -> list[bytes]:
        """Return the names of a page.

        Args:
            page: the reply to the first command.
            info: the reply to the second. Without the right to ask for it a restart goes
                unnoticed.

        Raises:
            redis.RedisError: the server gave no page, or is another one each time.
        """
        for reply in (page, info):
            if isinstance(reply, Exception) and (reply is page or not is_answer(reply)):
                raise reply
        cursor, names = page
        run_id = _run_id_in(info)
        if run_id is not None and self._run_id not in (None, run_id):
            self._note_change()
            cursor = b"0"
        else:
            self.is_over = int(cursor) == 0
        self._run_id = run_id or self._run_id
        self._cursor = cursor
        return list(names)

    def _note_change(self) -> None:
        self._changes += 1
        if self._changes > _CHANGES:
            from redis.exceptions import ConnectionError as LostError

            raise LostError("another server answers each time, which a scan can't be based on")


def _run_id_in(info: Any) -> str | None:
    if isinstance(info, bytes):
        info = info.decode(errors="replace")
    found = _RUN_ID.search(info) if isinstance(info, str) else None
    return found and found[1]


class ClusterScan:
    """Which primaries are still to be scanned.

    Names move with their slot. One that left a node before it was read there may have come to a
    node that had been read already. So who received names from a node that was just scanned is
    scanned once more, after that, for the slots in question; and whoever received names of them
    from him; until none did.

    Attributes:
        is_over: whether every name has been seen that was there all the time.
    """

    def __init__(self) -> None:
        self.is_over: bool = False
        self._seen: _Layout | None = None
        # By node: the slots of which it may have names that were not seen, as bits.
        self._due: dict[str, int] = {}
        self._sweeps = 0

    def due(self) -> list[Address]:
        """Return the nodes to scan now, each from its beginning, before the next `look`."""
        assert self._seen is not None
        return [self._seen.addresses[node] for node in sorted(self._due)]

    def look(self, told: Sequence[tuple[Address, Any]]) -> None:
        """Find out what to scan next.

        Args:
            told: what each primary replies to ``CLUSTER NODES``.

        Raises:
            redis.RedisError: slots move so much that there is no end to it.
        """
        layout = _Layout(told)
        if self._seen is None:
            self._due = dict.fromkeys(layout.served, (1 << SLOTS) - 1)
        else:
            self._due = layout.receivers(self._seen, self._due)
        self._seen = layout
        self.is_over = not self._due
        self._sweeps += 1
        if self._due and self._sweeps > _SWEEPS:
            from redis.exceptions import ClusterDownError

            raise ClusterDownError("CLUSTERDOWN slots move on and on, a scan finds no end")


class _Layout:
    """Who has which slots, and which are on their way, as the primaries say of themselves."""

    def __init__(self, told: Sequence[tuple[Address, Any]]) -> None:
        self.addresses: dict[str, Address] = {}
        self.epochs: dict[str, str] = {}
        self.served: dict[str, int] = {}  # slots, as bits
        self.moves: set[tuple[int, str, str]] = set()  # slot, from whom, to whom
        for asked, reply in told:
            text = reply.decode() if isinstance(reply, bytes) else str(reply)
            for line in text.splitlines():
                self._read(line.split(), asked)

    def _read(self, words: Sequence[str], asked: Address) -> None:
        name, address, flags = words[:3]
        if "myself" not in flags.split(","):
            host, _, port = address.partition("@")[0].rpartition(":")
            self.addresses.setdefault(name, (told_host(host, asked), int(port)))
            return
        self.addresses[name] = asked
        self.epochs[name] = words[6]
        self.served[name] = 0
        for word in words[8:]:
            if word[0] == "[":
                self._read_move(name, word.strip("[]"))
            else:
                first, _, last = word.partition("-")
                count = int(last or first) + 1 - int(first)
                self.served[name] |= ((1 << count) - 1) << int(first)

    def _read_move(self, name: str, text: str) -> None:
        slot, arrow, other = re.split("(->-|-<-)", text)
        ways = (name, other) if arrow == "->-" else (other, name)
        self.moves.add((int(slot), *ways))

    def receivers(self, before: _Layout, scanned: Mapping[str, int]) -> dict[str, int]:
        """Return who may have names, of which slots, from the nodes scanned since ``before``."""
        found = Counter[str]()
        for slot, source, to in before.moves | self.moves:
            found[to] |= scanned.get(source, 0) & 1 << slot
        changed, nobody = self._changed(before), (1 << SLOTS) - 1
        for served in self.served.values():
            nobody &= ~served
        for source, slots in scanned.items():
            if before.epochs.get(source) != self.epochs.get(source):
                # Who takes a slot has its epoch raised. It may have been its own before: names
                # that were elsewhere while it was scanned are back.
                found[source] |= slots & self.served.get(source, 0)
            lost = slots & changed
            for node, served in self.served.items():
                # Nobody has a slot while it changes hands: it may be anybody's.
                found[node] |= lost & (served | nobody)
        return {node: slots for node, slots in found.items() if slots and node in self.addresses}

    def _changed(self, before: _Layout) -> int:
        """Return the slots that somebody has who had them not, or the other way round."""
        changed = 0
        for node in before.served.keys() | self.served.keys():
            changed |= before.served.get(node, 0) ^ self.served.get(node, 0)
        return changed
