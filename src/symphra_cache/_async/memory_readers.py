# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""Reads from memory: the hot path of the whole library.

One closure for each policy and way to name entries, alike but for what that decides: a variable
of a closure costs less than an attribute, a branch more than none, an exception on a miss more
than all else. docs/en/design.md has the numbers. Common to all:

- No lock: each step is one C call on a dictionary, atomic under the GIL, and an entry is a tuple
  that is never changed.
- Keys are checked on a miss only; a subclass of ``str``, which may compare in its own way, takes
  the long way, `MemoryKeyspaceState._looked_up`, as does everything that is no plain hit.
- ``state`` must not hold what is returned: that would be a circle, and a cache that was dropped
  would wait for the garbage collector.
"""

from __future__ import annotations

from symphra_cache._eviction.lru import ABSENT, absent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from symphra_cache._eviction import LRU, S3FIFO
    from symphra_cache._memory import MemoryKeyspaceState

    class AsyncReader(Protocol):
        """Returns the value under a key, or a default."""

        async def __call__(self, key: str, default: Any = None) -> Any: ...


__all__ = ["lru_reader", "lru_reader_of_space", "s3fifo_reader", "s3fifo_reader_of_space"]


def lru_reader(state: MemoryKeyspaceState, policy: LRU) -> AsyncReader:
    """Return what reads an LRU store by plain keys; see the module."""
    find, use, now = policy.find, policy.entries.move_to_end, state._store.now
    counters, looked_up, unreadable = state._counters, state._looked_up, state._unreadable

    async def aget(key: str, default: Any = None) -> Any:
        """Return the value under a key, or ``default`` on a miss."""
        if type(key) is not str:
            return looked_up(key, default)
        value, deadline, thaw, _ = find(key, ABSENT)
        if deadline is not None and deadline <= now():
            return looked_up(key, default)
        if thaw is not None:
            if thaw is absent:
                return looked_up(key, default)
            try:
                value = thaw(value)
            except Exception:
                return unreadable(default)
        try:
            use(key)
        except KeyError:  # evicted just now
            return looked_up(key, default)
        counters.hits += 1
        return value

    return aget


def lru_reader_of_space(state: MemoryKeyspaceState, policy: LRU) -> AsyncReader:
    """Return what reads an LRU store under the names of another namespace; see the module."""
    find, use, now = policy.find, policy.entries.move_to_end, state._store.now
    counters, looked_up, unreadable = state._counters, state._looked_up, state._unreadable
    space = state._space

    async def aget(key: str, default: Any = None) -> Any:
        """Return the value under a key, or ``default`` on a miss."""
        if type(key) is not str:
            return looked_up(key, default)
        name = (space, key)
        value, deadline, thaw, _ = find(name, ABSENT)
        if deadline is not None and deadline <= now():
            return looked_up(key, default)
        if thaw is not None:
            if thaw is absent:
                return looked_up(key, default)
            try:
                value = thaw(value)
            except Exception:
                return unreadable(default)
        try:
            use(name)
        except KeyError:  # evicted just now
            return looked_up(key, default)
        counters.hits += 1
        return value

    return aget


def s3fifo_reader(state: MemoryKeyspaceState, policy: S3FIFO) -> AsyncReader:
    """Return what reads an S3-FIFO store by plain keys; see the module."""
    find, now = policy.entries.get, state._store.now
    counters, looked_up, unreadable = state._counters, state._looked_up, state._unreadable

    async def aget(key: str, default: Any = None) -> Any:
        """Return the value under a key, or ``default`` on a miss."""
        if type(key) is str:
            node = find(key)
            if node is not None:
                deadline = node.deadline
                if deadline is None or deadline > now():
                    value = node.value
                    if node.thaw is not None:
                        try:
                            value = node.thaw(value)
                        except Exception:
                            return unreadable(default)
                    if node.uncounted:
                        node.uncounted -= 1
                    counters.hits += 1
                    return value
        return looked_up(key, default)

    return aget


def s3fifo_reader_of_space(state: MemoryKeyspaceState, policy: S3FIFO) -> AsyncReader:
    """Return what reads an S3-FIFO store under the names of another namespace; see the module."""
    find, now = policy.entries.get, state._store.now
    counters, looked_up, unreadable = state._counters, state._looked_up, state._unreadable
    space = state._space

    async def aget(key: str, default: Any = None) -> Any:
        """Return the value under a key, or ``default`` on a miss."""
        if type(key) is str:
            node = find((space, key))
            if node is not None:
                deadline = node.deadline
                if deadline is None or deadline > now():
                    value = node.value
                    if node.thaw is not None:
                        try:
                            value = node.thaw(value)
                        except Exception:
                            return unreadable(default)
                    if node.uncounted:
                        node.uncounted -= 1
                    counters.hits += 1
                    return value
        return looked_up(key, default)

    return aget
