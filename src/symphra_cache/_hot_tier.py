"""The hot tier: values of a cache file in memory, never served once they are out of date.

Every hit first compares the header of the WAL index (`_wal_index.py`) with the one last seen. If
it is another, somebody committed; unless that was ourselves, the generation rises, and with it
every entry has to be read from the file again before it is served. So reads are as fast as memory
while nobody else writes, as fast as SQLite while they do, and never stale:

- Commits of this process go through `begin`, `locked`, `committed` and `end`. Only one at a time
  is between `locked` and `committed`, and nobody else can commit meanwhile, so a counter that
  has risen by one means our own commit alone.
- Until that is published, a reader that meets an unknown header reads the file, and leaves the
  generation alone.
- A reader puts a mark under the name *before* it reads the file, and fills only if the mark is
  still there: a write of this process takes marks and entries away before it begins, and nobody
  fills a name that is being written.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from threading import get_ident
from time import monotonic, sleep

from symphra_cache._turns import NAP, Turn
from symphra_cache._wal_index import HEADER, commits
from symphra_cache.types import MISSING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from typing import Any, TypeAlias

    from symphra_cache._hot_load import Load

    # What is kept of a value; wall-clock ns of its expiry or None; how a caller's value is made
    # of what is kept, None if it is the value.
    Kept: TypeAlias = "tuple[Any, int | None, Callable[[Any], object] | None]"
    Entry: TypeAlias = "tuple[int, Any, int | None, Callable[[Any], object] | None]"
    # Stands where a reader is about to fill in; holds the generation. Told by its identity.
    Mark: TypeAlias = "tuple[int]"

__all__ = ["ABSENT", "HotTier"]


ABSENT: Entry = (-1, None, None, None)
"""Stands for an entry that isn't there: no generation is its own."""

# So many reads in a row must meet no foreign commit before values are kept again: while another
# process writes all the time, what is kept is out of date before it is read.
_CALM = 8


class HotTier:
    """Entries of one cache file by name, least recently used first, shared by both faces.

    Attributes:
        entries: each (generation, kept, expires, thaw). Any thread may read it and move entries
            to the end; the dictionary is never replaced.
        generation: entries of another one have to be read again.
        seen: the header that belongs to the generation.
        header: returns the header as it is now; nothing is served while there is none.
        unmapped: stands in for it where it can't be mapped.
        look_at: monotonic time from which on nothing is served until somebody has looked
            whether the file is still the one at its path.
        turn: whoever changes anything but the order of the entries has it.
        writing: names that are being written, and by how many.
        loads: those under way.
    """

    def __init__(self, max_size: int) -> None:
        self.max_size = max_size
        self.entries: OrderedDict[bytes, Entry] = OrderedDict()
        self.generation: int = 0
        self.seen: bytes = b""
        self.header: Callable[[slice], bytes] = _nothing
        self.unmapped: Callable[[slice], bytes] = _nothing
        self.identity: object = None
        self.look_at: float = 0.0
        self.turn: Turn = Turn()
        self.writing: dict[bytes, int] = {}
        self.loads: list[Load] = []
        self._is_committing = False
        self._before = b""
        self._locked_at = 0
        self._calm = _CALM
        self._marks: dict[bytes, Mark] = {}
        # What the transaction under way evicts; and which of the names being written it has.
        self._evicting: list[bytes] = []
        self._void: set[bytes] = set()

    # Of readers.

    def mark(self, name: bytes) -> Mark | None:
        """Announce a read of the file, `fill` follows; ``None``: that can't be filled in."""
        # Hot path: a read of the file costs no more than ten times as much.
        header = self.now()
        if not header or not self.max_size:
            return None
        turn, me, outermost = self.turn, get_ident(), False
        try:
            while turn.owner:
                if turn.owner == me:
                    break
                sleep(NAP)
            else:
                turn.owner, outermost = me, True
            if header != self.seen and not self.observed(header):
                return None
            if self._calm < _CALM:
                self._calm += 1
                return None
            if name in self.writing:
                return None
            mark = self._marks[name] = (self.generation,)
            return mark
        finally:
            if outermost:
                turn.owner = 0

    def fill(self, name: bytes, mark: Mark | None, kept: Kept | None) -> None:
        """Keep what was read since the mark was put, if nobody has written it meanwhile."""
        if mark is None:
            return
        # Hot path, likewise.
        turn, me, outermost = self.turn, get_ident(), False
        try:
            while turn.owner:
                if turn.owner == me:
                    break
                sleep(NAP)
            else:
                turn.owner, outermost = me, True
            if self._marks.get(name) is mark:
                del self._marks[name]
                if kept is not None:
                    self._put(name, mark[0], kept)
        finally:
            if outermost:
                turn.owner = 0

    def mark_all(self, names: Collection[bytes]) -> Mark | None:
        """Announce that many names will be read at once; `fill_all` follows."""
        header = self.now()
        if not header or not self.max_size:
            return None
        with self.turn:
            if header != self.seen and not self.observed(header):
                return None
            self._calm += len(names)
            if self._calm < _CALM:
                return None
            mark = (self.generation,)
            for name in names:
                if name not in self.writing:
                    self._marks[name] = mark
        return mark

    def fill_all(self, mark: Mark | None, kept: Mapping[bytes, Kept | None]) -> None:
        """Do for each of the names that were announced what `fill` does."""
        if mark is None:
            return
        marks = self._marks
        with self.turn:
            for name, value in kept.items():
                if marks.get(name) is mark:
                    del marks[name]
                    if value is not None:
                        self._put(name, mark[0], value)

    def hit(self, name: bytes, time_ns: Callable[[], int]) -> Any:
        """Return the caller's own value of an entry that is not out of date, else `MISSING`."""
        generation, value, expires, thaw = self.entries.get(name, ABSENT)
        if (
            generation != self.generation
            or self.now() != self.seen
            or (expires is not None and expires <= time_ns())
            or monotonic() >= self.look_at
        ):
            return MISSING
        with suppress(KeyError):  # evicted just now
            self.entries.move_to_end(name)
        try:
            return value if thaw is None else thaw(value)
        except Exception:  # not read before, and unreadable: told by the long way
            return MISSING

    def exchange(
        self, name: bytes, old: object, new: object, thaw: Callable[[Any], object] | None
    ) -> None:
        """Keep something else of a value, if nobody has written it meanwhile."""
        with self.turn:
            entry = self.entries.get(name)
            if entry is not None and entry[1] is old:
                self.entries[name] = (entry[0], new, entry[2], thaw)

    def observed(self, header: bytes) -> bool:
        """Take note of another header; tell whether its generation is known now. In a turn."""
        if self._is_committing:
            return False  # perhaps our own commit, to be published at once
        header = self.now()  # once more: our own commit may have been published since
        if header != self.seen:
            if self.seen:
                self._calm = 0
            self.generation += 1
            self.seen = header
        return bool(header)

    def is_as_of(self, generation: int) -> bool:
        """Tell whether nobody else has committed since this generation began."""
        header = self.now()
        return bool(header) and header == self.seen and generation == self.generation

    def now(self) -> bytes:
        """Return the header as it is, empty if there is none."""
        try:
            return self.header(HEADER)
        except ValueError:  # closed by the last connection of this process
            return b""

    def _put(self, name: bytes, generation: int, kept: Kept) -> None:
        if self.seen:  # else nobody could tell whether it is out of date
            entries = self.entries
            entries[name] = (generation, *kept)
            entries.move_to_end(name)
            if len(entries) > self.max_size:
                entries.popitem(last=False)

    # Of writers, in this order.

    def begin(self, names: Collection[bytes]) -> None:
        """Take away what is known of names that are about to be written."""
        with self.turn:
            for name in names:
                self.writing[name] = self.writing.get(name, 0) + 1
                self.entries.pop(name, None)
                self._marks.pop(name, None)
            for load in self.loads:
                load.written.update(names)

    def locked(self) -> None:
        """Note that this process may write, and from now on nobody else."""
        header = self.now()
        with self.turn:
            self._release()
            if header != self.seen:
                self.generation += 1
                self.seen = header
            self._before = header
            self._locked_at = self.generation
            self._is_committing = True

    def evict(self, names: Collection[bytes]) -> None:
        """Take away what is known of names that go with the commit, to make room.

        Nobody fills them until it is done, nor does `end` with what was written under them.
        """
        with self.turn:
            for load in self.loads:
                load.written.update(names)
            for name in names:
                self.entries.pop(name, None)
                self._marks.pop(name, None)
                if name in self.writing:
                    self._void.add(name)
                self.writing[name] = self.writing.get(name, 0) + 1
                self._evicting.append(name)

    def _release(self) -> None:
        for name in self._evicting:
            self._leave(name)
        self._evicting.clear()

    def _leave(self, name: bytes) -> bool:
        """Let readers fill a name again, if nobody else is writing it; tell whether they may."""
        left = self.writing[name] - 1
        if left:
            self.writing[name] = left
        else:
            del self.writing[name]
        return not left

    def committed(self) -> int:
        """Publish that the commit was ours; or that others have committed since.

        Returns:
            The generation of what was written, which others may have outdated since.
        """
        before, header = self._before, self.now()
        with self.turn:
            if header != before:
                if not (header and before and commits(header) == commits(before) + 1):
                    self.generation += 1
                self.seen = header
            self._is_committing = False
            self._release()
            return self._locked_at

    def abandoned(self) -> None:
        """Note that nothing was committed, as far as is known."""
        with self.turn:
            if self._is_committing:
                self._is_committing = False
                self.generation += 1
            self._release()

    def end(self, names: Iterable[bytes], kept: Mapping[bytes, Kept | None] | None) -> None:
        """Let readers fill these names again, and keep what was written.

        Args:
            names: those that `begin` was given.
            kept: what was written, if it was.
        """
        with self.turn:
            for name in names:
                if not self._leave(name):
                    continue
                if name in self._void:  # evicted by the transaction that wrote it
                    self._void.discard(name)
                elif kept is not None and (value := kept.get(name)) is not None:
                    # As of the commit: if others have written since, it is outdated.
                    self._put(name, self._locked_at, value)

    def begin_single(self, name: bytes) -> None:
        """Do what `begin` and `locked` do; who commits before us makes the counter rise by two."""
        # Hot path: what `Turn` does as a context manager costs less written out.
        turn, me, outermost = self.turn, get_ident(), False
        try:
            while turn.owner:
                if turn.owner == me:
                    break
                sleep(NAP)
            else:
                turn.owner, outermost = me, True
            self.writing[name] = self.writing.get(name, 0) + 1
            self.entries.pop(name, None)
            self._marks.pop(name, None)
            for load in self.loads:
                load.written.add(name)
            header = self.now()
            if header != self.seen:
                self.generation += 1
                self.seen = header
            self._before, self._locked_at = header, self.generation
            self._is_committing = True
        finally:
            if outermost:
                turn.owner = 0

    def end_single(self, name: bytes, kept: Kept | None, *, is_committed: bool) -> None:
        """Do what `committed` (or `abandoned`) and `end` do after that statement."""
        # Hot path, likewise.
        turn, me, outermost = self.turn, get_ident(), False
        try:
            while turn.owner:
                if turn.owner == me:
                    break
                sleep(NAP)
            else:
                turn.owner, outermost = me, True
            before, header = self._before, self.now()
            if not is_committed:
                self.generation += 1
            elif header != before:
                if not (header and before and commits(header) == commits(before) + 1):
                    self.generation += 1
                self.seen = header
            self._is_committing = False
            left = self.writing.pop(name) - 1
            if left:
                self.writing[name] = left
            elif is_committed and kept is not None:
                self._put(name, self._locked_at, kept)
        finally:
            if outermost:
                turn.owner = 0

    # Of those who open and close the file.

    def attach(self, identity: object, header: Callable[[slice], bytes] | None) -> None:
        """Serve the file of this identity from now on; forget what was known of another."""
        with self.turn:
            if identity != self.identity:
                self._forget()
                self.identity = identity
            self.header = header or self.unmapped

    def drop(self, names: Iterable[bytes]) -> None:
        """Forget entries that this process has just removed because they had expired."""
        for name in names:
            self.entries.pop(name, None)

    def forget(self) -> None:
        """Drop all entries."""
        with self.turn:
            self._forget()

    def _forget(self) -> None:
        self.generation += 1
        self.seen = b""
        self.entries.clear()
        self._marks.clear()

    def start_over(self) -> None:
        """In a forked child: drop all, and what threads of the parent were doing."""
        self.turn = Turn()
        self.writing.clear()
        self._evicting.clear()
        self._void.clear()
        self.loads.clear()
        self._is_committing = False
        self.header = _nothing
        self.look_at = 0.0
        self.identity = None
        self._forget()


def _nothing(_: slice) -> bytes:
    return b""
