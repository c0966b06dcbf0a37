"""The store of one memory backend: entries of all its namespaces, within their bounds.

Which entry goes when there is no room is decided in ``_eviction``, what expires next is told by
``_expiry``, sizes are kept in ``_sizes``. What a namespace makes of it is in ``_memory.py``.
"""

from __future__ import annotations

from collections import OrderedDict
from math import inf
from sys import maxsize
from threading import get_ident
from time import sleep
from weakref import WeakValueDictionary

from symphra_cache._clock import monotonic_of
from symphra_cache._eviction import make_policy
from symphra_cache._expiry import ExpiryQueue
from symphra_cache._flights import Flights
from symphra_cache._forks import fork_aware
from symphra_cache._isolation import frozen, shared
from symphra_cache._turns import NAP, Turn
from symphra_cache._usage import Usage, closed_error
from symphra_cache.exceptions import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol, TypeAlias

    from symphra_cache._eviction import Policy
    from symphra_cache._eviction.lru import Entry
    from symphra_cache._sizes import Sizes
    from symphra_cache.types import Clock

    Name: TypeAlias = "str | tuple[Space, str]"
    Thaw: TypeAlias = "Callable[[Any], object]"
    Isolate: TypeAlias = "Callable[[object], tuple[object, Thaw | None]]"

    class Put(Protocol):
        """Stores an entry; see `putter`."""

        def __call__(
            self,
            name: Name,
            kept: object,
            thaw: Thaw | None,
            lifetime: int | None,
            size: int = 0,
            like: Entry | None = None,
            voids: bool = True,
        ) -> object: ...


__all__ = ["MemoryStore", "Space", "putter"]

# How many deadlines one write looks at, so that no write takes long: at any time, and before
# it evicts an entry that lives.
_SWEEP = 16
_SWEEP_FOR_ROOM = 256


class Space:
    """A namespace inside a store. Compared by identity, so that no user's key can equal it.

    Held by its keyspaces and by the names of its entries alone: a program that makes a
    namespace for each of its users leaves nothing behind.
    """

    __slots__ = ("__weakref__", "path")

    def __init__(self, path: str) -> None:
        self.path: str = path


class MemoryStore:
    """The entries of one backend, and their bounds.

    Reads need no turn, see the policies. Writes take turns; since the garbage collector may run
    a finalizer that calls the cache in the middle of one, turns nest. Values that a write
    displaces are handed to the caller, who lets go of them after the turn.
    """

    def __init__(
        self,
        max_size: object = 10_000,
        *,
        max_bytes: object = None,
        sizeof: object = None,
        eviction: object = "lru",
        isolation: object = "copy",
        clock: Clock | None = None,
    ) -> None:
        self.max_size: int = _checked_max_size(max_size)
        self.sizes: Sizes | None = _checked_sizes(max_bytes, sizeof)
        self.policy: Policy = make_policy(eviction)
        self.isolate: Isolate = _checked_isolation(isolation)
        self.now: Callable[[], float]
        self.per_ms: float
        self.now, self.per_ms = monotonic_of(clock)
        self.turn: Turn = Turn()
        self.flights: Flights = Flights(self.turn, self.isolate)
        self.expiries: ExpiryQueue = self._expiry_queue()
        self.spaces: WeakValueDictionary[str, Space] = WeakValueDictionary()
        self.plain: Space | None = None
        self.reported: set[str] = set()
        self.closed: bool = False
        self.evictions: int = 0
        self.expirations: int = 0
        fork_aware(self)

    def _expiry_queue(self) -> ExpiryQueue:
        return ExpiryQueue(self.per_ms, self.policy.entries, self.policy.find)

    def space(self, path: str) -> Space:
        """Return the space of a path; the first that is asked for uses plain keys."""
        with self.turn:
            space = self.spaces.get(path)
            if space is None:
                space = self.spaces[path] = Space(path)
                if self.plain is None and path:
                    self.plain = space
            return space

    def find(self, name: Name) -> Entry | None:
        """Return the live entry under a name without using it; an expired one is dropped."""
        entry = self.policy.find(name)
        if entry is None or entry[1] is None or entry[1] > self.now():
            return entry
        with self.turn:
            if self.policy.find(name) is entry:  # nobody has replaced it meanwhile
                self.remove(name)
                self.expirations += 1
        return None

    def remove(self, name: Name) -> Entry:
        """Remove and return the entry under a name; there must be one. In a turn."""
        if self.sizes is not None:
            self.sizes.forget(name)
        return self.policy.remove(name)

    def take(self, name: Name) -> Entry | None:
        """Remove and return the live entry under a name, if there is one."""
        if self.closed:
            raise closed_error()
        with self.turn:
            entry = self.find(name)
            if entry is not None:
                self.remove(name)
            if self.flights.live:
                self.void_loads(name)
        return entry

    def void_loads(self, name: Name) -> None:
        """Have no load undo what has just been written. In the turn of the write, at its end.

        Before it, loads that begin during the write would be missed, and who comes while a load
        is stored would look for it too early.
        """
        if isinstance(name, str):
            self.flights.void(self.plain.path if self.plain else "", name)
        else:
            self.flights.void(name[0].path, name[1])

    def sweep(self, now: float, limit: int) -> list[Entry]:
        """Drop entries that have expired, after at most ``limit`` looks. In a turn."""
        if self.closed:
            raise closed_error()
        dropped = []
        policy, expiries = self.policy, self.expiries
        for queued, name in expiries.due(now, limit):
            entry = policy.find(name)
            if entry is None or entry[3] is not queued:
                continue  # that entry is gone
            kept, deadline, thaw, _ = entry
            if deadline is None or deadline <= now:
                dropped.append(self.remove(name))
            else:
                expiries.push(deadline, name, None)
                policy.replace(name, (kept, deadline, thaw, deadline))
        self.expirations += len(dropped)
        return dropped

    def made_room(self, name: Name, size: int, now: float, displaced: object) -> list[object]:
        """Have entries go until one of that size fits, expired ones first. In a turn."""
        released: list[object] = [displaced]
        entries, sizes = self.policy.entries, self.sizes
        while (len(entries) >= self.max_size and name not in entries) or (
            sizes is not None and sizes.lacks_room(name, size)
        ):
            if now >= self.expiries.next_due and (swept := self.sweep(now, _SWEEP_FOR_ROOM)):
                released += swept
                continue
            evicted, entry = self.policy.evict()
            released.append(entry)
            self.evictions += 1
            if sizes is not None:
                sizes.forget(evicted)
        if sizes is not None:
            sizes.note(name, size)
        return released

    def close(self) -> None:
        """Forget everything; whoever comes later meets an empty store and is told so."""
        with self.turn:
            self.closed = True
            released = list(self.policy.entries.values())
            self.policy.clear()
            known, self.expiries = self.expiries, self._expiry_queue()
            # Whoever writes comes to `sweep` then, and is refused.
            known.next_due = self.expiries.next_due = -inf
            if self.sizes is not None:
                self.sizes.clear()
        del released  # finalizers run here, after the turn

    def usage(self) -> Usage:
        """Return how full the store is."""
        occupied = None if self.sizes is None else self.sizes.total
        return Usage(self.evictions, self.expirations, len(self.policy.entries), occupied)

    def before_fork(self) -> None:
        """Let a write of another thread finish."""
        self.turn.__enter__()

    def after_fork_in_parent(self) -> None:
        """Let writes go on."""
        self.turn.__exit__(None, None, None)

    # The thread that forks is the one that the child has, and it is still its turn.
    after_fork_in_child = after_fork_in_parent


def putter(store: MemoryStore) -> Put:
    """Return what stores entries, each in a turn of its own or the caller's.

    Args:
        store: where; it must not hold what is returned, for that would be a circle.

    Returns:
        A function of the entry's name, of what is kept of the value, of how a caller's value is
        made of that (``None``: it is the value), of the ms until it expires (``None``: never)
        and of its bytes, if the store counts bytes. ``like`` is an entry whose expiry it takes
        instead; ``voids`` tells whether it is a write that no load under way may undo. Storing
        counts as a use. Returned is what was displaced: finalizers of values run when the caller
        lets go of it, which is after the turn.
    """
    # Hot path: variables of a closure cost less than attributes, and what `Turn` does as a
    # context manager costs less written out.
    policy, expiries, sizes, turn = store.policy, store.expiries, store.sizes, store.turn
    find, put_used, evict = policy.find, policy.put, policy.evict
    entries, max_size, clock, per_ms = policy.entries, store.max_size, store.now, store.per_ms
    ordered = entries if isinstance(entries, OrderedDict) else None
    loads, void_loads = store.flights.live, store.void_loads

    def put(
        name: Name,
        kept: object,
        thaw: Thaw | None,
        lifetime: int | None,
        size: int = 0,
        like: Entry | None = None,
        voids: bool = True,
    ) -> object:
        deadline = queued = gone = None
        displaced: object = None
        me, outermost = get_ident(), False
        try:
            while turn.owner:
                if turn.owner == me:
                    break
                sleep(NAP)
            else:
                turn.owner, outermost = me, True
            now = clock()
            if now >= expiries.next_due:  # or it is closed
                displaced = store.sweep(now, _SWEEP)
            previous = find(name)
            if sizes is not None or displaced is not None:
                displaced = store.made_room(name, size, now, displaced)
            elif previous is None and len(entries) >= max_size:
                displaced = evicted = evict()
                gone = evicted[1][3]
                store.evictions += 1
            if lifetime is not None:
                deadline = queued = now + lifetime * per_ms
                if previous is not None and previous[1] is not None and previous[1] <= deadline:
                    queued = previous[3]  # once that has passed, the sweep sees the new one
                else:
                    deadline = queued = expiries.push(deadline, name, lifetime, gone)
            elif like is not None:
                deadline, queued = like[1], like[3]
            if ordered is not None:
                ordered[name] = (kept, deadline, thaw, queued)
                if previous is not None:
                    ordered.move_to_end(name)
            else:
                put_used(name, (kept, deadline, thaw, queued))
            if loads and voids:
                void_loads(name)
        finally:
            if outermost:
                turn.owner = 0
        return previous if displaced is None else (previous, displaced)

    return put


def _checked_max_size(max_size: object) -> int:
    if max_size is None:
        return maxsize
    if type(max_size) is int and max_size > 0:
        return max_size
    got = repr(max_size) if type(max_size) is int else type(max_size).__name__
    raise ConfigurationError(f"max_size must be a positive int or None (unbounded), got {got}")


def _checked_sizes(max_bytes: object, sizeof: object) -> Sizes | None:
    if max_bytes is not None:
        from symphra_cache._sizes import Sizes  # a program without a bound never loads it

        return Sizes(max_bytes, sizeof)
    if sizeof is not None:
        raise ConfigurationError("sizeof is of use with max_bytes only; give max_bytes, too")
    return None


def _checked_isolation(isolation: object) -> Isolate:
    if isolation == "copy":
        return frozen
    if isolation == "shared":
        return shared
    got = repr(isolation) if isinstance(isolation, str) else type(isolation).__name__
    raise ConfigurationError(
        f"isolation must be 'copy' or 'shared', got {got}; 'copy' keeps cached values "
        "apart from the program's own objects"
    )
