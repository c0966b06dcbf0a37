"""`MemoryBackend`: in this process, bounded; by default the least recently used goes first."""

from __future__ import annotations

import symphra_cache._async.memory_readers as _asyncio
import symphra_cache._sync.memory_readers as _blocking
from symphra_cache._async.memory import AsyncMemoryOps
from symphra_cache._eviction import LRU
from symphra_cache._memory import MemoryKeyspaceState
from symphra_cache._memory_store import MemoryStore
from symphra_cache._sync.memory import SyncMemoryOps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Literal

    from symphra_cache._flights import Flights
    from symphra_cache._metrics import Counters
    from symphra_cache.types import Clock

__all__ = ["MemoryBackend"]


class MemoryKeyspace(AsyncMemoryOps, SyncMemoryOps):
    """One namespace in memory, both faces."""

    def __init__(self, store: MemoryStore, path: str, counters: Counters | None = None) -> None:
        super().__init__(store, path, counters)
        # Hot path. The readers get a state of their own, see there. A subclass's methods stay.
        state = MemoryKeyspaceState(store, path, self._counters)
        own = vars(self)
        if type(self).get is SyncMemoryOps.get:
            own.update(get=_reader(_blocking, state))
        if type(self).aget is AsyncMemoryOps.aget:
            own.update(aget=_reader(_asyncio, state))
        if type(self).set is SyncMemoryOps.set:
            own.update(set=self._stored)
        # Who finds the second in use may take the first instead, for neither waits.
        self._readers = (self.get, self.aget) if {"get", "aget"} <= own.keys() else None


def _reader(face: Any, state: MemoryKeyspaceState) -> object:
    """Return the reader of one face for a store's policy and a namespace's way to name."""
    policy = state._store.policy
    if isinstance(policy, LRU):
        make = face.lru_reader if state._plain else face.lru_reader_of_space
    else:
        make = face.s3fifo_reader if state._plain else face.s3fifo_reader_of_space
    return make(state, policy)


class MemoryBackend(MemoryKeyspace):
    """A cache in the memory of this process.

    Safe to use from any thread and any event loop at once; a read takes no lock. When there is
    no room, expired entries go first, then those that ``eviction`` says.

    Args:
        max_size: how many entries are kept at the most; ``None`` for no bound.
        max_bytes: how many bytes they take at the most, see ``sizeof``; ``None`` for no bound.
        sizeof: returns the bytes of a value. Left out, the memory that an entry takes is
            estimated when it is stored: key, value and the store's own share.
        eviction: ``"lru"``, exactly the least recently used entry goes first; ``"s3fifo"``
            resists scans and keeps more of what is asked for often.
        isolation: ``"copy"`` keeps cached values apart from the program's objects;
            ``"shared"`` hands out the very object that was stored.
        clock: where time comes from; for tests, see `symphra_cache.testing.FakeClock`.

    Raises:
        ConfigurationError: an argument is wrong.
    """

    kind: str = "memory"

    def __init__(
        self,
        max_size: int | None = 10_000,
        *,
        max_bytes: int | None = None,
        sizeof: Callable[[Any], int] | None = None,
        eviction: Literal["lru", "s3fifo"] = "lru",
        isolation: Literal["copy", "shared"] = "copy",
        clock: Clock | None = None,
    ) -> None:
        store = MemoryStore(
            max_size,
            max_bytes=max_bytes,
            sizeof=sizeof,
            eviction=eviction,
            isolation=isolation,
            clock=clock,
        )
        super().__init__(store, "")
        self.flights: Flights = store.flights
        self._max_size = max_size

    def keyspace(self, path: str, counters: Counters) -> MemoryKeyspace:
        """Return the view on a namespace that counts into ``counters``."""
        return MemoryKeyspace(self._store, path, counters)

    def __repr__(self) -> str:
        return f"MemoryBackend(max_size={self._max_size})"
