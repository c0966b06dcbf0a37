"""State of the memory backend: the entries of all its namespaces, and one namespace's view.

No I/O here. The faces of the backend are in ``_async/memory.py`` and its generated twin.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from contextlib import suppress
from weakref import WeakValueDictionary

from symphra_cache._clock import checked_clock
from symphra_cache._expiry import ExpiryQueue
from symphra_cache._forks import fork_aware
from symphra_cache._integers import added, not_a_counter
from symphra_cache._isolation import frozen, shared
from symphra_cache._keys import checked_key
from symphra_cache._metrics import Counters
from symphra_cache._patterns import compile_pattern
from symphra_cache._ttl import milliseconds
from symphra_cache._usage import Usage, closed_error
from symphra_cache.exceptions import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, TypeAlias

    from symphra_cache.types import TTL, Clock

    Name: TypeAlias = "str | tuple[Space, str]"
    Isolate: TypeAlias = "Callable[[object], tuple[object, Callable[[object], object] | None]]"
    # (what is kept, monotonic ns of its expiry or None, how a caller's value is made of it).
    # A tuple is never changed, so a value and its expiry can't be read torn.
    Entry: TypeAlias = "tuple[object, int | None, Callable[[object], object] | None]"

__all__ = ["MemoryKeyspaceState", "MemoryStore"]

# How many expired entries one write removes at the most, so that no write takes long.
_SWEEP = 16


class Space:
    """A namespace inside a store. Compared by identity, so that no user's key can equal it.

    Held by its keyspaces and by the names of its entries alone: a program that makes a
    namespace for each of its users leaves nothing behind.
    """

    __slots__ = ("__weakref__", "path")

    def __init__(self, path: str) -> None:
        self.path: str = path


class MemoryStore:
    """The entries of one backend, least recently used first.

    Reads take no lock: each is one C call on the dictionary, atomic under the GIL. Writes hold
    ``lock``, a reentrant one, since the garbage collector may run a finalizer that calls the
    cache while it is held. Values that a write displaces are released after the lock.
    """

    def __init__(
        self,
        max_size: object,
        isolation: object,
        clock: Clock | None,
    ) -> None:
        self.max_size: int | None = _checked_max_size(max_size)
        self.isolate: Isolate = _checked_isolation(isolation)
        self.monotonic_ns: Callable[[], int] = checked_clock(clock).monotonic_ns
        self.entries: OrderedDict[Name, Entry] = OrderedDict()
        self.lock: threading.RLock = threading.RLock()
        self.expiries: ExpiryQueue = ExpiryQueue()
        self.spaces: WeakValueDictionary[str, Space] = WeakValueDictionary()
        self.plain: Space | None = None
        self.reported: set[str] = set()
        self.closed: bool = False
        self.evictions: int = 0
        self.expirations: int = 0
        fork_aware(self)

    def space(self, path: str) -> Space:
        """Return the space of a path; the first that is asked for uses plain keys."""
        with self.lock:
            space = self.spaces.get(path)
            if space is None:
                space = self.spaces[path] = Space(path)
                if self.plain is None and path:
                    self.plain = space
            return space

    def live(self, name: Name) -> Entry | None:
        """Return the live entry under a name; an expired one is dropped. Hold the lock."""
        entry = self.entries.get(name)
        if entry is None or entry[1] is None or entry[1] > self.monotonic_ns():
            return entry
        del self.entries[name]
        self.expirations += 1
        return None

    def put(self, name: Name, entry: Entry) -> list[Entry]:
        """Store an entry as the most recently used one. Hold the lock.

        Returns:
            What was displaced, for the caller to release once the lock is free.
        """
        if self.closed:
            raise closed_error()
        entries = self.entries
        displaced = []
        if name in entries:
            displaced.append(entries[name])
            entries[name] = entry
            entries.move_to_end(name)
        else:
            entries[name] = entry
        if entry[1] is not None:
            self.expiries.push(entry[1], name)
        displaced += self.sweep(_SWEEP)
        if self.max_size is not None and len(entries) > self.max_size:
            displaced.append(entries.popitem(last=False)[1])
            self.evictions += 1
        return displaced

    def sweep(self, limit: int) -> list[Entry]:
        """Drop at most ``limit`` expired entries and return them. Hold the lock."""
        dropped = []
        entries = self.entries
        for deadline, name in self.expiries.due(self.monotonic_ns, limit):
            entry = entries.get(name)
            if entry is not None and entry[1] == deadline:
                del entries[name]
                dropped.append(entry)
        self.expirations += len(dropped)
        if self.expiries.is_bloated(len(entries)):
            self.expiries.rebuild((e[1], name) for name, e in entries.items() if e[1] is not None)
        return dropped

    def drop_expired(self, name: Name, entry: Entry) -> None:
        """Drop an entry that a reader found expired, unless it was replaced meanwhile."""
        with self.lock:
            if self.entries.get(name) is entry:
                del self.entries[name]
                self.expirations += 1

    def close(self) -> None:
        """Forget everything; whoever comes later meets an empty store and is told so."""
        with self.lock:
            self.closed = True
            released = list(self.entries.values())
            self.entries.clear()
            self.expiries = ExpiryQueue()
        del released  # finalizers run here, outside the lock

    def before_fork(self) -> None:
        """Let a write of another thread finish."""
        self.lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Let writes go on."""
        self.lock.release()

    def after_fork_in_child(self) -> None:
        """Start with a lock that no thread of the parent waits for."""
        self.lock = threading.RLock()


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

    def _name(self, key: str) -> Name:
        return key if self._plain else (self._space, key)

    def _missed(self, key: object, default: Any) -> Any:
        """Answer a read that found nothing usable under the key as it was given."""
        store = self._store
        text = checked_key(key)
        if store.closed:
            raise closed_error()
        name = self._name(text)
        entry = store.entries.get(name)
        if entry is not None:
            value, deadline, thaw = entry
            if deadline is not None and deadline <= store.monotonic_ns():
                store.drop_expired(name, entry)
            else:
                # A subclass of str that hashes in its own way, or a write just now.
                return self._handed_out(name, value, thaw, default)
        self._counters.misses += 1
        return default

    def _handed_out(
        self, name: Name, value: object, thaw: Callable[[object], object] | None, default: Any
    ) -> Any:
        """Count a hit and return the caller's own value; what can't be rebuilt is a miss."""
        if thaw is not None:
            try:
                value = thaw(value)
            except Exception:
                return self._unreadable(name, default)
        self._counters.hits += 1
        with suppress(KeyError):  # evicted since the lookup
            self._store.entries.move_to_end(name)
        return value

    def _unreadable(self, name: Name, default: Any) -> Any:
        """Answer a read of a pickle that no longer loads: its class is gone, or raises."""
        from symphra_cache._log import log_unreadable

        log_unreadable(self._store.reported, self._path, "memory")
        self._counters.corrupt += 1
        self._counters.misses += 1
        return default

    def _require_open(self) -> None:
        if self._store.closed:
            raise closed_error()

    def _prepared(self, key: str, value: object, ttl: TTL) -> tuple[Name, Entry | None]:
        """Check the arguments of a write; ``None`` instead of an entry if it is expired already."""
        store = self._store
        name = self._name(checked_key(key))
        lifetime = milliseconds(ttl)
        kept, thaw = store.isolate(value)
        if lifetime is None:
            return name, (kept, None, thaw)
        if lifetime == 0:
            return name, None
        return name, (kept, store.monotonic_ns() + lifetime * 1_000_000, thaw)

    def _write(self, name: Name, entry: Entry | None) -> None:
        """Replace what is under a name; ``None`` removes it."""
        if entry is None:
            self._take(name)
            return
        store = self._store
        with store.lock:
            displaced = store.put(name, entry)
        self._counters.sets += 1
        del displaced  # finalizers run here, outside the lock

    def _write_absent(self, name: Name, entry: Entry | None) -> bool:
        """Write unless something lives under the name; tell whether nothing did."""
        self._require_open()
        store = self._store
        with store.lock:
            if store.live(name) is not None:
                return False
            if entry is None:
                return True
            displaced = store.put(name, entry)
        self._counters.sets += 1
        del displaced
        return True

    def _take(self, name: Name) -> Entry | None:
        """Remove and return the live entry under a name."""
        self._require_open()
        store = self._store
        with store.lock:
            entry = store.live(name)
            if entry is not None:
                del store.entries[name]
        return entry

    def _remove(self, name: Name) -> bool:
        """Remove what lives under a name, count it, and tell whether there was anything."""
        if self._take(name) is None:
            return False
        self._counters.deletes += 1
        return True

    def _popped(self, key: str, default: Any) -> Any:
        name = self._name(checked_key(key))
        entry = self._take(name)
        if entry is None:
            self._counters.misses += 1
            return default
        self._counters.deletes += 1
        return self._handed_out(name, entry[0], entry[2], default)

    def _peeked(self, key: str) -> Entry | None:
        """Return the live entry under a key without using it."""
        name = self._name(checked_key(key))
        self._require_open()
        entry = self._store.entries.get(name)
        if entry is None or entry[1] is None or entry[1] > self._store.monotonic_ns():
            return entry
        self._store.drop_expired(name, entry)
        return None

    def _touched(self, key: str, ttl: TTL) -> bool:
        """Give a live entry a new ttl; tell whether there was one."""
        name = self._name(checked_key(key))
        lifetime = milliseconds(ttl)
        if lifetime == 0:
            return self._take(name) is not None
        self._require_open()
        store = self._store
        with store.lock:
            entry = store.live(name)
            if entry is None:
                return False
            deadline = None
            if lifetime is not None:
                deadline = store.monotonic_ns() + lifetime * 1_000_000
            displaced = store.put(name, (entry[0], deadline, entry[2]))
        del displaced
        return True

    def _incremented(self, key: str, delta: int, ttl: TTL) -> int:
        """Add to a counter; a missing one starts at 0 and takes ``ttl``."""
        name = self._name(checked_key(key))
        lifetime = milliseconds(ttl)
        self._require_open()
        store = self._store
        with store.lock:
            entry = store.live(name)
            if entry is None:
                total = added(0, delta)
                if lifetime == 0:
                    return total
                deadline = None
                if lifetime is not None:
                    deadline = store.monotonic_ns() + lifetime * 1_000_000
            else:
                if entry[2] is not None:
                    raise not_a_counter("a value of another type")
                total = added(entry[0], delta)
                deadline = entry[1]
            displaced = store.put(name, (total, deadline, None))
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
        for name in list(store.entries):
            if isinstance(name, str):
                key, ours = name, plain
            else:
                key, ours = name[1], name[0] in spaces
            if ours:
                entry = store.entries.get(name)
                if entry is not None and (entry[1] is None or entry[1] > store.monotonic_ns()):
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
        store = self._store
        return Usage(store.evictions, store.expirations, len(store.entries))


def _checked_max_size(max_size: object) -> int | None:
    if max_size is None or (type(max_size) is int and max_size > 0):
        return max_size
    got = repr(max_size) if type(max_size) is int else type(max_size).__name__
    raise ConfigurationError(f"max_size must be a positive int or None (unbounded), got {got}")


def _checked_isolation(
    isolation: object,
) -> Isolate:
    if isolation == "copy":
        return frozen
    if isolation == "shared":
        return shared
    raise ConfigurationError(
        f"isolation must be 'copy' or 'shared', got {isolation!r}; 'copy' keeps cached values "
        "apart from the program's own objects"
    )
