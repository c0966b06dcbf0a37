"""The near cache: values of Redis servers in memory, dropped when somebody writes them there.

A server tells on a link (`symphra_cache._redis_tracking`) which names are written. What makes it
right that a value is served without asking:

- An entry belongs to an `Epoch`, the unbroken life of a link, and is served only while that is
  confirmed. Any doubt about the link ends the epoch, and with it all of its entries at once.
- A reader puts a mark under the name *before* the read is sent, and keeps what came only if that
  very mark still stands. What a link tells of a name takes marks away as well as entries. Readers
  who come meanwhile share the mark: theirs are sent later still. (Were it replaced, a name that
  is read all the time would never be kept.) One of them who is told something else than the first
  takes away what that has kept.
- A reply that perhaps came from another node than the link's is not kept.
- A writer of this process drops what is known of its names before and after, so that it reads its
  own writes whatever the link has told so far.
- No entry is served for longer than its ttl and ``max_staleness``, from when its mark was put.
"""

from __future__ import annotations

from collections import OrderedDict
from math import isfinite
from time import monotonic

from symphra_cache._redis_errors import is_refusal
from symphra_cache._turns import Turn
from symphra_cache.exceptions import ConfigurationError
from symphra_cache.types import MISSING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeAlias

    # What is kept of a value, and how a caller's value is made of it, None if it is the value.
    Kept: TypeAlias = "tuple[Any, Callable[[Any], object] | None]"
    # That, the milliseconds that it lives, and how it stands on the server, None if it doesn't.
    Read: TypeAlias = "tuple[Kept | None, int, bytes | None]"
    Entry: TypeAlias = "tuple[Epoch, Any, float, Callable[[Any], object] | None]"

__all__ = [
    "ABSENT",
    "Epoch",
    "Mark",
    "NearCache",
    "NearRoutesState",
    "NearTable",
    "as_read",
    "text_of",
]


class NearCache:
    """How much of a Redis server `RedisBackend` keeps in memory, and for how long at the most.

    Args:
        max_size: entries, over all namespaces; beyond it the least recently used go.
        max_staleness: seconds after which an entry is read from the server again, even if
            nothing was heard of it. While the link to the server lives, a foreign write is seen
            within one round trip; this bounds the time when all else fails.

    Raises:
        ConfigurationError: an argument is wrong.
    """

    __slots__ = ("max_size", "max_staleness")

    def __init__(self, max_size: int = 10_000, max_staleness: float = 30.0) -> None:
        if type(max_size) is not int or max_size < 1:
            raise ConfigurationError(
                f"max_size must be a positive int, got {_shown(max_size)}; near_cache=None "
                "switches the near cache off"
            )
        is_number = type(max_staleness) in (int, float)
        if not is_number or not isfinite(max_staleness) or max_staleness <= 0:
            raise ConfigurationError(
                "max_staleness must be seconds, finite and more than 0, got "
                f"{_shown(max_staleness)}"
            )
        self.max_size: int = max_size
        self.max_staleness: float = float(max_staleness)

    def __repr__(self) -> str:
        return f"NearCache(max_size={self.max_size}, max_staleness={self.max_staleness})"


def _shown(value: object) -> str:
    return repr(value) if type(value) in (int, float) else type(value).__name__


class Epoch:
    """The unbroken life of a link.

    Attributes:
        until: monotonic time to which it is confirmed: what was written long enough before has
            been told. 0 for ever once it has ended.
        prefixes: of the names whose writes are told.
    """

    __slots__ = ("prefixes", "until")

    def __init__(self, until: float = 0.0, prefixes: frozenset[bytes] = frozenset()) -> None:
        self.until: float = until
        self.prefixes: frozenset[bytes] = prefixes


class Mark:
    """Stands where a reader is about to keep something. Told by its identity.

    Attributes:
        epoch: of the link that tells of the name.
        version: of what was known of the cluster when it was put.
        at: monotonic time when it was put.
        reply: what the first of those who share it was told, `MISSING` if it had to go before.
    """

    __slots__ = ("at", "epoch", "reply", "version")

    def __init__(self, epoch: Epoch, version: int, at: float) -> None:
        self.epoch: Epoch = epoch
        self.version: int = version
        self.at: float = at
        self.reply: object = MISSING


ABSENT: Entry = (Epoch(), None, 0.0, None)
"""Stands for an entry that isn't there."""


def text_of(name: bytes) -> str:
    """Return a name as the table has it: to encode a key costs more than to look it up.

    Foreign names may be no text; what they become then is looked up by nobody.
    """
    return name.decode(errors="replace")


def as_read(reply: Any, left: Any) -> tuple[Any, int]:
    """Return what came of a read: another type is nothing, an unknown ttl is 0."""
    if isinstance(reply, Exception) and is_refusal(reply, "WRONGTYPE"):
        reply = None
    return reply, 0 if isinstance(left, Exception) else left


class NearTable:
    """Entries by name, least recently used first; shared by threads, loops and both faces.

    Args:
        settings: the bounds.

    Attributes:
        entries: each (epoch, kept, deadline, thaw), by `text_of` its name. Any thread may read it
            and move entries to the end; the dictionary is never replaced.
    """

    def __init__(self, settings: NearCache) -> None:
        self.entries: OrderedDict[str, Entry] = OrderedDict()
        self._max_size = settings.max_size
        self._max_staleness = settings.max_staleness
        self._marks: dict[str, Mark] = {}
        self._turn = Turn()

    def hit(self, name: bytes) -> Any:
        """Return the caller's own value of an entry that may be served, else `MISSING`."""
        text = text_of(name)
        epoch, value, deadline, thaw = self.entries.get(text, ABSENT)
        now = monotonic()
        if now >= deadline or now >= epoch.until:
            return MISSING
        try:
            self.entries.move_to_end(text)
            return value if thaw is None else thaw(value)
        except Exception:  # dropped just now, or not to be decoded: told by the long way
            return MISSING

    def mark(self, name: bytes, epoch: Epoch, version: int) -> Mark:
        """Announce a read of the server; `fill` follows, whatever comes of it."""
        text = text_of(name)
        with self._turn:
            mark = self._marks.get(text)
            if mark is None or mark.epoch is not epoch or mark.version != version:
                mark = self._marks[text] = Mark(epoch, version, monotonic())
            return mark

    def fill(
        self,
        name: bytes,
        mark: Mark,
        kept: Kept | None,
        left: int = -1,
        reply: object = None,
        *,
        version: int = 0,
    ) -> None:
        """Keep what was read since the mark was put, if it is not out of date.

        Args:
            name: of the entry.
            mark: what `mark` returned.
            kept: ``None`` if there is nothing to keep.
            left: milliseconds that the entry lives, -1 for ever.
            reply: how it stands on the server, ``None`` if it doesn't, or nobody knows.
            version: of what is known of the cluster now.
        """
        text = text_of(name)
        with self._turn:
            if self._marks.get(text) is not mark:
                # What is there by now, or is about to be, was read by somebody else, perhaps a
                # moment earlier on the server: nobody may get it who reads after this one has
                # returned something else.
                if reply != mark.reply:
                    self.entries.pop(text, None)
                    self._marks.pop(text, None)
                return
            del self._marks[text]
            mark.reply = reply
            if kept is None or mark.version != version:
                return
            seconds = self._max_staleness
            if left >= 0:
                seconds = min(seconds, left / 1000)
            entries = self.entries
            entries[text] = (mark.epoch, kept[0], mark.at + seconds, kept[1])
            entries.move_to_end(text)
            if len(entries) > self._max_size:
                entries.popitem(last=False)

    def drop(self, names: Iterable[bytes]) -> None:
        """Forget what is known of names, and what is about to be."""
        entries, marks = self.entries, self._marks
        with self._turn:
            for name in names:
                text = text_of(name)
                marks.pop(text, None)
                entries.pop(text, None)

    def clear(self) -> None:
        """Forget all."""
        with self._turn:
            self._marks.clear()
            self.entries.clear()

    def start_over(self) -> None:
        """In a forked child: forget all, and what threads of the parent were doing."""
        self._turn = Turn()
        self.clear()


class NearRoutesState:
    """State of the way past the near cache; its faces are in ``_async/redis_near.py``.

    Args:
        inner: the way to the servers.
        table: what is known of them.
    """

    def __init__(self, inner: Any, table: NearTable) -> None:
        self._inner: Any = inner
        self._drop = table.drop
