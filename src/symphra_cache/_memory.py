"""State of one namespace in memory: names its entries, counts for one manager.

No I/O here. The faces of the backend are in ``_async/memory.py`` and its generated twin, the
entries in ``_memory_store.py``.
"""

from __future__ import annotations

from symphra_cache._integers import added, not_a_counter
from symphra_cache._isolation import SCALARS
from symphra_cache._keys import MAX_KEY_BYTES, checked_key
from symphra_cache._memory_store import putter
from symphra_cache._metrics import Counters
from symphra_cache._patterns import compile_pattern
from symphra_cache._ttl import DECADE, milliseconds
from symphra_cache._usage import Usage, closed_error
from symphra_cache.types import DEFAULT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, TypeAlias

    from symphra_cache._eviction.lru import Entry
    from symphra_cache._memory_store import MemoryStore, Name, Put, Space, Thaw
    from symphra_cache.types import TTL, TTLArgument

    # (name, what is kept, how a value is made of it, ms to live or None, size in bytes)
    Prepared: TypeAlias = "tuple[Name, object, Thaw | None, int | None, int]"

__all__ = ["MemoryKeyspaceState"]


class MemoryKeyspaceState:
    """One namespace of a store: names its entries and counts for one manager.

    Everything that is not on the hot path and does no I/O stands here once, for both faces.
    """

    def __init__(self, store: MemoryStore, path: str, counters: Counters | None = None) -> None:
        self._store = store
        self._path = path
        self._space = store.space(path)
        # Hot path: the first namespace needs no tuple to name an entry.
        self._plain = store.plain is self._space
        self._counters = Counters() if counters is None else counters
        self._put = putter(store)
        self._stored = _writer(
            store, self._put, None if self._plain else self._space, self._counters
        )

    def _name(self, key: str) -> Name:
        return key if self._plain else (self._space, key)

    def _looked_up(self, key: object, default: Any) -> Any:
        """Answer a read, whatever the key: the whole of what the readers do for the common case."""
        # Hot path: misses come this way.
        if type(key) is str and key.isascii() and 0 < len(key) <= MAX_KEY_BYTES:
            text = key
        else:
            text = checked_key(key)
        store = self._store
        if store.closed:
            raise closed_error()
        name = text if self._plain else (self._space, text)
        entry = store.policy.find(name)
        if entry is not None and entry[1] is not None and entry[1] <= store.now():
            entry = store.find(name)  # drops it
        if entry is None:
            self._counters.misses += 1
            return default
        store.policy.use(name)
        return self._handed_out(entry, default)

    def _handed_out(self, entry: Entry, default: Any) -> Any:
        """Count a hit and return the caller's own value; what can't be rebuilt is a miss."""
        value, _, thaw, _ = entry
        if thaw is not None:
            try:
                value = thaw(value)
            except Exception:
                return self._unreadable(default)
        self._counters.hits += 1
        return value

    def _unreadable(self, default: Any) -> Any:
        """Answer a read of a pickle that no longer loads: its class is gone, or raises."""
        from symphra_cache._log import log_unreadable

        log_unreadable(self._store.reported, self._path, "memory")
        self._counters.corrupt += 1
        self._counters.misses += 1
        return default

    def _require_open(self) -> None:
        if self._store.closed:
            raise closed_error()

    def _prepared(self, key: str, value: object, ttl: TTL) -> Prepared:
        """Check the arguments of a write, and make what is to be kept of the value."""
        text = checked_key(key)
        lifetime = milliseconds(ttl)
        store = self._store
        if type(value) in SCALARS:
            kept, thaw = value, None
        else:
            kept, thaw = store.isolate(value)
        size = 0 if store.sizes is None else store.sizes.measure(text, value, kept)
        return text if self._plain else (self._space, text), kept, thaw, lifetime, size

    def _write(
        self, name: Name, kept: object, thaw: Thaw | None, lifetime: int | None, size: int
    ) -> None:
        """Replace what is under a name; what is expired already removes it."""
        if lifetime == 0:
            self._store.take(name)
            return
        self._put(name, kept, thaw, lifetime, size)
        self._counters.sets += 1

    def _write_if(
        self,
        may_write: Callable[[], bool],
        name: Name,
        kept: object,
        thaw: Thaw | None,
        lifetime: int | None,
        size: int,
    ) -> bool:
        """Write if that is allowed; tell whether it was."""
        store = self._store
        with store.turn:
            if not may_write():
                return False
            if lifetime == 0:
                displaced: object = store.take(name)
            else:
                displaced = self._put(name, kept, thaw, lifetime, size)
        self._counters.sets += lifetime != 0
        del displaced  # finalizers run here, after the turn
        return True

    def _write_absent(
        self, name: Name, kept: object, thaw: Thaw | None, lifetime: int | None, size: int
    ) -> bool:
        """Write unless something lives under the name; tell whether nothing did."""
        self._require_open()
        store = self._store
        with store.turn:
            if store.find(name) is not None:
                return False
            if lifetime == 0:
                return True
            displaced = self._put(name, kept, thaw, lifetime, size)
        self._counters.sets += 1
        del displaced  # finalizers run here, after the turn
        return True

    def _remove(self, name: Name) -> bool:
        """Remove what lives under a name, count it, and tell whether there was anything."""
        if self._store.take(name) is None:
            return False
        self._counters.deletes += 1
        return True

    def _popped(self, key: str, default: Any) -> Any:
        entry = self._store.take(self._name(checked_key(key)))
        if entry is None:
            self._counters.misses += 1
            return default
        self._counters.deletes += 1
        return self._handed_out(entry, default)

    def _peeked(self, key: str) -> Entry | None:
        """Return the live entry under a key without using it."""
        name = self._name(checked_key(key))
        self._require_open()
        return self._store.find(name)

    def _touched(self, key: str, ttl: TTL) -> bool:
        """Give a live entry a new ttl; tell whether there was one."""
        name = self._name(checked_key(key))
        lifetime = milliseconds(ttl)
        if lifetime == 0:
            return self._store.take(name) is not None
        self._require_open()
        store = self._store
        with store.turn:
            entry = store.find(name)
            if entry is None:
                return False
            size = 0 if store.sizes is None else store.sizes.of(name)
            displaced = self._put(name, entry[0], entry[2], lifetime, size, voids=False)
        del displaced
        return True

    def _incremented(self, key: str, delta: int, ttl: TTL) -> int:
        """Add to a counter; a missing one starts at 0 and takes ``ttl``."""
        text = checked_key(key)
        name = self._name(text)
        lifetime = milliseconds(ttl)
        self._require_open()
        store = self._store
        while True:
            entry = store.find(name)
            total = added(0 if entry is None else _number(entry), delta)
            if entry is None and lifetime == 0:
                return total
            # Before the turn, for it may call the program's own function.
            size = 0 if store.sizes is None else store.sizes.measure(text, total, total)
            with store.turn:
                if store.find(name) is not entry:
                    continue  # somebody was faster
                if entry is None:
                    displaced = self._put(name, total, None, lifetime, size)
                else:
                    displaced = self._put(name, total, None, None, size, entry)
            self._counters.sets += 1
            del displaced
            return total

    def _keys(self, pattern: str) -> Iterator[str]:
        """Yield the matching keys that live, from a snapshot of the names there are now."""
        matches = compile_pattern(pattern)
        self._require_open()
        return (key for _, key in self._living(nested=False) if matches is None or matches(key))

    def _living(self, *, nested: bool) -> Iterator[tuple[Name, str]]:
        """Yield (name, key) of each entry of this namespace that still lives when it is its turn.

        The snapshot is one C call, so no writer can get between; it costs 8 bytes an entry.
        """
        store = self._store
        spaces = self._spaces(nested)
        plain = store.plain in spaces
        for name in list(store.policy.entries):
            if isinstance(name, str):
                key, ours = name, plain
            else:
                key, ours = name[1], name[0] in spaces
            if ours:
                entry = store.policy.find(name)
                if entry is not None and (entry[1] is None or entry[1] > store.now()):
                    yield name, key

    def _spaces(self, nested: bool) -> set[Space | None]:
        """Return this namespace, and with ``nested`` those below it."""
        if not nested:
            return {self._space}
        below = f"{self._path}/" if self._path else ""
        spaces = list(self._store.spaces.values())
        return {self._space, *(space for space in spaces if space.path.startswith(below))}

    def _cleared(self, nested: bool) -> int:
        self._require_open()
        return sum(self._remove(name) for name, _ in self._living(nested=nested))

    def _removed_matching(self, pattern: str) -> int:
        return sum(self._remove(self._name(key)) for key in self._keys(pattern))

    def usage(self) -> Usage:
        """Return how full the whole backend is."""
        return self._store.usage()


def _writer(
    store: MemoryStore, put: Put, space: Space | None, counters: Counters
) -> Callable[..., bool]:
    """Return what ``set`` is, on both faces; ``space`` is ``None`` where plain keys are names."""
    # Hot path, see `putter`.
    isolate, sizes = store.isolate, store.sizes

    def stored(key: str, value: object, ttl: TTLArgument = None) -> bool:
        """Store a value and return ``True``."""
        if type(key) is not str or not key.isascii() or not 0 < len(key) <= MAX_KEY_BYTES:
            key = checked_key(key)
        if type(ttl) is int and 0 < ttl <= DECADE:
            lifetime: int | None = ttl * 1000
        else:
            given = None if ttl is DEFAULT else ttl
            lifetime = milliseconds(given)  # type: ignore[arg-type]
        if type(value) in SCALARS:
            kept, thaw = value, None
        else:
            kept, thaw = isolate(value)
        size = 0 if sizes is None else sizes.measure(key, value, kept)
        name = key if space is None else (space, key)
        if lifetime == 0:
            store.take(name)
        else:
            put(name, kept, thaw, lifetime, size)
            counters.sets += 1
        return True

    return stored


def _number(entry: Entry) -> object:
    """Return what a counter's entry holds."""
    if entry[2] is not None:
        raise not_a_counter("a value of another type")
    return entry[0]
