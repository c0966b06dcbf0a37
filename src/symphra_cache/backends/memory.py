"""`MemoryBackend`: in this process, bounded, least recently used goes first."""

from __future__ import annotations

from symphra_cache._async.memory import AsyncMemoryOps
from symphra_cache._memory import MemoryStore
from symphra_cache._sync.memory import SyncMemoryOps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    from symphra_cache._metrics import Counters
    from symphra_cache.types import Clock

__all__ = ["MemoryBackend"]


class MemoryKeyspace(AsyncMemoryOps, SyncMemoryOps):
    """One namespace in memory, both faces."""


class MemoryBackend(MemoryKeyspace):
    """A cache in the memory of this process, with exact LRU eviction.

    Safe to use from any thread and any event loop at once; a read takes no lock.

    Args:
        max_size: how many entries are kept at the most; ``None`` for no bound.
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
        isolation: Literal["copy", "shared"] = "copy",
        clock: Clock | None = None,
    ) -> None:
        super().__init__(MemoryStore(max_size, isolation, clock), "")

    def keyspace(self, path: str, counters: Counters) -> MemoryKeyspace:
        """Return the view on a namespace that counts into ``counters``."""
        return MemoryKeyspace(self._store, path, counters)

    def __repr__(self) -> str:
        return f"MemoryBackend(max_size={self._store.max_size})"
