# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""The near cache in front of Redis: reads that it answers, and writes that it must know of."""

from __future__ import annotations

from time import monotonic

from symphra_cache._redis_near import ABSENT, NearRoutesState, as_read, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Any, Protocol

    from symphra_cache._redis import RedisKeyspaceState
    from symphra_cache._redis_near import NearTable
    from symphra_cache._redis_scripts import Script

    class AsyncRedisReader(Protocol):
        """Returns the value under a key, or a default."""

        async def __call__(self, key: str, default: Any = None) -> Any: ...


__all__ = ["AsyncNearRoutes", "near_reader"]

_READING = frozenset({"GET", "GETRANGE", "PING"})


def near_reader(
    state: RedisKeyspaceState, table: NearTable, cold: AsyncRedisReader
) -> AsyncRedisReader:
    """Return what reads; ``cold``, which asks the server, must not hold it in turn.

    The hot path of the near cache: a closure, as in ``memory_readers.py``, and by the same rules.
    """
    space, counters = text_of(state._prefix), state._counters
    find, use = table.entries.get, table.entries.move_to_end

    async def aget(key: str, default: Any = None) -> Any:
        """Return the value under a key, or ``default`` on a miss."""
        if type(key) is str:
            try:
                name = space + key
                epoch, value, deadline, thaw = find(name, ABSENT)
                if epoch.until > monotonic() < deadline:
                    use(name)
                    if thaw is not None:
                        value = thaw(value)
                    counters.hits += 1
                    return value
            except Exception:  # dropped just now: told by the long way
                pass
        return await cold(key, default)

    return aget


class AsyncNearRoutes(NearRoutesState):
    """The way to the servers, past the near cache: what is written is dropped from it.

    Before, so that nothing old is served while the write is under way; and after, whatever came
    of it, so that whoever wrote reads what he wrote, though the server has told nothing yet.
    """

    async def acall(self, name: bytes, *command: Any) -> Any:
        """Send a command about a name; return the reply."""
        writes = command[0] not in _READING
        if writes:
            self._drop((name,))
        try:
            return await self._inner.acall(name, *command)
        finally:
            if writes:
                self._drop((name,))

    async def arun(self, script: Script, name: bytes, *arguments: Any) -> Any:
        """Run a script on a name."""
        if script.writes:
            self._drop((name,))
        try:
            return await self._inner.arun(script, name, *arguments)
        finally:
            if script.writes:
                self._drop((name,))

    async def arun_all(self, script: Script, names: list[bytes]) -> list[Any]:
        """Run a script that takes many names and answers for each."""
        if script.writes:
            self._drop(names)
        try:
            replies: list[Any] = await self._inner.arun_all(script, names)
            return replies
        finally:
            if script.writes:
                self._drop(names)

    async def asend_all(self, names: list[bytes], commands: list[tuple[Any, ...]]) -> list[Any]:
        """Send a command that writes about each name."""
        self._drop(names)
        try:
            replies: list[Any] = await self._inner.asend_all(names, commands)
            return replies
        finally:
            self._drop(names)

    async def aread_all(self, names: list[bytes]) -> list[tuple[Any, int]]:
        """Return of each name what stands there, and the milliseconds that it lives.

        Two commands, for a script would wait while the server holds up writes. What is written
        between the two is told, so that neither is kept.

        Returns:
            An error in the place of what could not be read. -1 for ever, 0 if nobody knows.
        """
        twice = [name for name in names for _ in range(2)]
        commands = [command for name in names for command in (("GET", name), ("PTTL", name))]
        replies = await self._inner.asend_all(twice, commands)
        return list(map(as_read, replies[::2], replies[1::2]))

    async def aget_all(self, names: list[bytes]) -> list[Any]:
        """Return what stands under the names."""
        replies: list[Any] = await self._inner.aget_all(names)
        return replies

    async def apages(self, pattern: bytes) -> AsyncIterator[list[bytes]]:
        """Yield the names that match, some of them perhaps twice."""
        async for names in self._inner.apages(pattern):
            yield names

    async def aping(self) -> None:
        """Have the servers answer."""
        await self._inner.aping()
