"""State of the file backend: the file and its connections, and one namespace's view.

No I/O here. The faces of the backend are in ``_async/file.py`` and its generated twin.
"""

from __future__ import annotations

from contextlib import contextmanager

from symphra_cache._clock import checked_clock
from symphra_cache._frame import CorruptFrameError, FrameCodec
from symphra_cache._hot_tier import HotTier
from symphra_cache._integers import added, not_a_counter
from symphra_cache._isolation import flat
from symphra_cache._keys import encoded_key
from symphra_cache._log import log_unreadable
from symphra_cache._metrics import Counters
from symphra_cache._sqlite_connections import Connections
from symphra_cache._sqlite_files import checked_path, refuse_foreign
from symphra_cache._sqlite_limits import checked_limits
from symphra_cache._ttl import milliseconds, spread
from symphra_cache._usage import Usage, closed_error
from symphra_cache.exceptions import BackendUnavailableError, ConfigurationError
from symphra_cache.serializers import MessagePackSerializer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any

    from symphra_cache._hot_tier import Entry, Kept
    from symphra_cache._sqlite import NamedRow, Row
    from symphra_cache._sqlite_files import Durability
    from symphra_cache._sqlite_limits import Limits
    from symphra_cache.serializers import Serializer
    from symphra_cache.types import TTL, Clock

__all__ = ["BATCH", "LARGEST_HOT", "PAGE", "FileKeyspaceState", "FileStore", "telling"]

BATCH = 500
"""Rows that one transaction of ``scan``, ``count``, ``clear`` and ``delete_matching`` takes."""

PAGE = 5_000
"""Rows that one transaction of ``reload`` reads."""

_UNREADABLE = object()

LARGEST_HOT = 32 * 1024
"""Larger frames are read from the file each time: 100,000 of them would fill the memory."""


@contextmanager
def telling(keys: Iterable[str]) -> Iterator[None]:
    """Have an outage tell the keys of a bulk call, which is one transaction: all, or none."""
    try:
        yield
    except BackendUnavailableError as error:
        error.failed = list(keys)
        raise


class FileStore:
    """One cache file: its options, its connections, how its values are written."""

    def __init__(
        self,
        db_path: object,
        durability: object,
        busy_timeout: object,
        serializer: Serializer | None,
        max_value_bytes: int,
        clock: Clock | None,
        hot_size: object,
        max_size: object,
        max_bytes: object,
    ) -> None:
        self.path: str = checked_path(db_path)
        self.codec: FrameCodec = FrameCodec(serializer or MessagePackSerializer(), max_value_bytes)
        self.time_ns: Callable[[], int] = checked_clock(clock).time_ns
        self.reported: set[str] = set()
        options = _checked_durability(durability), _checked_busy_timeout(busy_timeout)
        self.tier: HotTier = HotTier(_checked_hot_size(hot_size))
        self.limits: Limits | None = checked_limits(max_size, max_bytes, self.time_ns, self.tier)
        refuse_foreign(self.path)
        self.connections: Connections = Connections(
            self.path, *options, self.time_ns, self.tier, self.limits
        )

    def kept(self, name: bytes, value: object, expires: int | None, frame: bytes) -> Kept | None:
        """Return what the hot tier keeps of a value, ``None`` if nothing."""
        if len(frame) > LARGEST_HOT:
            return None
        expires_ns = None if expires is None else expires * 1_000_000
        found = flat(value)
        if found is None:  # made anew from its frame for each caller
            return (name, expires, frame), expires_ns, self._decoded
        return found[0], expires_ns, found[1]

    def unread(self, rows: list[NamedRow], generation: int | None) -> dict[bytes, Entry]:
        """Return entries of the hot tier for rows that nobody has read yet: their frames."""
        if generation is None:
            return {}
        now, thaw = self.now_ms(), self._read_first
        # Rows are kept as they are: a hundred thousand more objects would cost as much as to
        # read them.
        return {
            row[0]: (generation, row, None if at is None else at * 1_000_000, thaw)
            for row in rows
            if type(row[2]) is bytes
            and len(row[2]) <= LARGEST_HOT
            and ((at := row[1]) is None or (type(at) is int and at > now))
        }

    def _decoded(self, row: NamedRow) -> object:
        return self.codec.decode(row[0], row[2])

    def _read_first(self, row: NamedRow) -> object:
        """Decode a row that `unread` gave, and keep from now on what its value needs."""
        value = self._decoded(row)
        found = flat(value)
        self.tier.exchange(row[0], row, *(found or (row, self._decoded)))
        return value

    def now_ms(self) -> int:
        """Return wall-clock milliseconds, the time that processes share."""
        return self.time_ns() // 1_000_000


class FileKeyspaceState:
    """One namespace of a file: names its rows, reads and writes their frames, counts."""

    def __init__(self, store: FileStore, path: str, counters: Counters | None = None) -> None:
        self._store = store
        self._connections = store.connections
        self._tier = store.tier
        self._path = path
        self._prefix = f"{path}:".encode()
        self._counters = Counters() if counters is None else counters

    def _name(self, key: str) -> bytes:
        return self._prefix + encoded_key(key)

    def _require_open(self) -> None:
        if self._connections.closed:
            raise closed_error()

    def _expiry(self, lifetime: int | None) -> int | None:
        return None if lifetime is None else self._store.now_ms() + lifetime

    def _prepared(self, key: str, value: object, ttl: TTL) -> tuple[bytes, int | None, bytes]:
        """Check the arguments of a write; its expiry is 0 if it is expired already."""
        name = self._name(key)
        lifetime = milliseconds(ttl)
        frame = self._store.codec.encode(name, value)
        if self._store.limits is not None:
            self._store.limits.refuse_larger(len(frame))
        return name, 0 if lifetime == 0 else self._expiry(lifetime), frame

    def _prepared_many(
        self, mapping: Mapping[str, object], ttl: TTL, jitter: float
    ) -> tuple[list[NamedRow], dict[bytes, Kept]]:
        """Return the rows of a bulk write, and what the hot tier keeps of them."""
        rows, kept = [], {}
        for key, value in mapping.items():
            row = self._prepared(key, value, spread(ttl, jitter))
            rows.append(row)
            if (found := self._store.kept(row[0], value, *row[1:])) is not None:
                kept[row[0]] = found
        return rows, kept

    def _is_expired(self, expires: object) -> bool:
        return isinstance(expires, int) and expires <= self._store.now_ms()

    def _live(self, expires: int | None, head: bytes) -> bool:
        """Tell whether a row lives, judged by its expiry and the head of its frame."""
        return (
            _is_time(expires) and not self._is_expired(expires) and self._store.codec.readable(head)
        )

    def _opened(
        self, name: bytes, row: Row | None, default: Any, *, keep: bool
    ) -> tuple[Any, Kept | None]:
        """Answer a read from the row that was found, and count it.

        Returns:
            The value, or ``default`` on a miss, and what the hot tier is to keep of it.
        """
        if row is not None and not self._is_expired(row[0]):
            value = self._decoded(name, *row)
            if value is not _UNREADABLE:
                self._counters.hits += 1
                return value, self._store.kept(name, value, *row) if keep else None
            self._counters.corrupt += 1
        self._counters.misses += 1
        return default, None

    def _decoded(self, name: bytes, expires: object, frame: bytes) -> object:
        try:
            if not _is_time(expires):
                raise CorruptFrameError("the expiry is no number")
            return self._store.codec.decode(name, frame)
        except CorruptFrameError:
            log_unreadable(self._store.reported, self._path, "file")
            return _UNREADABLE

    def _removed(self, row: Row | None) -> bool:
        """Count the row that a delete took away; tell whether it lived."""
        if row is None or not self._live(*row):
            return False
        self._counters.deletes += 1
        return True

    def _left(self, row: Row | None) -> float | None:
        """Return the seconds that a row has left, as ``ttl`` gives them."""
        if row is None or not self._live(*row):
            return 0.0
        if row[0] is None:
            return None
        return max(0, row[0] * 1_000_000 - self._store.time_ns()) / 1e9

    def _change(
        self, name: bytes, delta: int, *, keep: bool
    ) -> Callable[[Row | None], tuple[int, bytes | None, bool]]:
        """Return what ``incr`` makes of a row; with ``keep`` false a new one is not stored."""

        def change(row: Row | None) -> tuple[int, bytes | None, bool]:
            codec = self._store.codec
            if row is None or self._is_expired(row[0]):
                total = added(0, delta)
                return total, codec.encode(name, total) if keep else None, True
            value = self._decoded(name, *row)
            if value is _UNREADABLE:
                raise not_a_counter("unreadable bytes")
            total = added(value, delta)
            return total, codec.encode(name, total), False

        return change

    def _living(self, rows: list[NamedRow]) -> list[tuple[bytes, str]]:
        """Return (name, key) of the rows that live; names that are damaged are left out."""
        living = []
        for name, expires, head in rows:
            if self._live(expires, head):
                try:
                    living.append((name, name[len(self._prefix) :].decode()))
                except UnicodeDecodeError:
                    continue
        return living

    def _ranges(self, nested: bool) -> list[tuple[bytes, bytes]]:
        """Return between which names, both excluded, this namespace's stand."""
        if nested and not self._path:
            return [(b"", b"\xff")]
        ranges = [(self._prefix, f"{self._path};".encode())]  # ";" follows ":"
        if nested:
            ranges.append((f"{self._path}/".encode(), f"{self._path}0".encode()))  # "0" follows "/"
        return ranges

    def usage(self) -> Usage:
        """Return how full the whole backend is; unless it is bounded, counting would be a scan."""
        expirations, limits = self._connections.expirations, self._store.limits
        if limits is None:
            return Usage(expirations=expirations)
        return Usage(limits.evictions, expirations + limits.expired, *(limits.known() or ()))


def _is_time(expires: object) -> bool:
    """Tell whether this can be an expiry: SQLite keeps whatever a foreign writer puts there."""
    return expires is None or isinstance(expires, int)


def _checked_durability(durability: object) -> Durability:
    if durability == "normal" or durability == "full":
        return durability
    raise ConfigurationError(
        f"durability must be 'normal' or 'full', got {durability!r}; 'full' also survives the "
        "loss of power, at a sixth of the speed"
    )


def _checked_busy_timeout(seconds: object) -> float:
    if (
        isinstance(seconds, (int, float))
        and not isinstance(seconds, bool)
        and 0 <= seconds <= 86_400
    ):
        return float(seconds)
    got = repr(seconds) if type(seconds) in (int, float) else type(seconds).__name__
    raise ConfigurationError(f"busy_timeout must be 0 to 86,400 seconds, got {got}")


def _checked_hot_size(hot_size: object) -> int:
    if type(hot_size) is int and hot_size >= 0:
        return hot_size
    got = repr(hot_size) if type(hot_size) is int else type(hot_size).__name__
    raise ConfigurationError(
        f"hot_size must be a number of entries, an int from 0 on, got {got}; 0 keeps none in memory"
    )
