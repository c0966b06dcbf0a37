# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""Reads from a file that the hot tier answers: the hot path of the file backend.

A closure, as in ``memory_readers.py``, and by the same rules. What the hot tier does not answer
goes the long way, to the file.
"""

from __future__ import annotations

from time import monotonic

from symphra_cache._hot_tier import ABSENT
from symphra_cache._wal_index import HEADER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from symphra_cache._file import FileKeyspaceState

    class AsyncFileReader(Protocol):
        """Returns the value under a key, or a default."""

        async def __call__(self, key: str, default: Any = None) -> Any: ...


__all__ = ["hot_reader"]


def hot_reader(state: FileKeyspaceState, cold: AsyncFileReader) -> AsyncFileReader:
    """Return what reads; ``cold``, which reads the file, must not hold it in turn."""
    tier, prefix, counters = state._tier, state._prefix, state._counters
    find, use, time_ns = tier.entries.get, tier.entries.move_to_end, state._store.time_ns

    async def aget(key: str, default: Any = None) -> Any:
        """Return the value under a key, or ``default`` on a miss."""
        if type(key) is str:
            try:
                name = prefix + key.encode()
                generation, value, expires, thaw = find(name, ABSENT)
                if (
                    generation == tier.generation
                    and tier.header(HEADER) == tier.seen
                    and (expires is None or expires > time_ns())
                    and monotonic() < tier.look_at
                ):
                    if thaw is not None:
                        value = thaw(value)
                    use(name)
                    counters.hits += 1
                    return value
            except Exception:  # evicted or closed just now, or no valid key: told by the long way
                pass
        return await cold(key, default)

    return aget
