# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""How commands reach a single Redis server: one face of `symphra_cache._redis_routes`.

Commands are sent on the pools' connections themselves. redis-py's own clients send a command
anew whose connection broke, though it may have been applied.
"""

from __future__ import annotations

from symphra_cache._redis_deployment import Routes
from symphra_cache._redis_errors import client_errors, is_answer, is_refusal
from symphra_cache._redis_scan import ServerScan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from typing import Any

    from symphra_cache._redis_scripts import Script

__all__ = ["AsyncOneServer", "AsyncServers"]


class AsyncServers(Routes):
    """What ways to one server and to many have in common: the talk with one of them."""

    async def _aexchange(self, pool: Any, *command: Any) -> Any:
        """Send one command; return the reply, or raise it if it is an error."""
        # Hot path.
        connection = await pool.get_connection()
        try:
            packed = connection.pack_command(*command)
            await connection.send_packed_command(packed, check_health=False)
            reply = await connection.read_response()
        except BaseException as error:
            await self._anote(pool, connection, error)
            raise
        else:
            pool.breaker.succeeded()
            return reply
        finally:
            await pool.release(connection)

    async def _anote(self, pool: Any, connection: Any, error: BaseException) -> None:
        """Note what an exchange ended with; a reply still to come must reach nobody else."""
        pool.breaker.failed(error)
        if not is_answer(error):
            await connection.disconnect(nowait=True)

    async def _aexchange_many(self, pool: Any, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """Send many commands at once; return the replies, with errors in their places."""
        replies: list[Any] = []
        try:
            connection = await pool.get_connection()
            try:
                await connection.send_packed_command(
                    connection.pack_commands(commands), check_health=False
                )
                await self._aread(connection, len(commands), replies)
            except BaseException as error:
                await self._anote(pool, connection, error)
                raise
            finally:
                await pool.release(connection)
        except client_errors() as error:
            return replies + [error] * (len(commands) - len(replies))
        pool.breaker.succeeded()
        return replies

    async def _aread(self, connection: Any, count: int, replies: list[Any]) -> None:
        """Read so many replies; errors that are answers are among them."""
        while len(replies) < count:
            try:
                replies.append(await connection.read_response())
            except client_errors() as error:
                if not is_answer(error):
                    raise
                replies.append(error)

    async def _apages_of(self, pool: Any, pattern: bytes) -> AsyncIterator[list[bytes]]:
        """Yield names that match on one server, some of them perhaps twice."""
        scan = ServerScan(pattern)
        while not scan.is_over:
            if names := scan.read(*await self._aexchange_many(pool, scan.commands())):
                yield names


class AsyncOneServer(AsyncServers):
    """The way to one server, or to the master that sentinels name.

    Bulk calls return an answer for each name; in the place of one that could not be had stands
    the error.
    """

    async def acall(self, name: bytes, *command: Any) -> Any:
        """Send a command about a name; return the reply."""
        return await self._aexchange(await self._pools.apool(), *command)

    async def arun(self, script: Script, name: bytes, *arguments: Any) -> Any:
        """Run a script on a name, sending its text if the server does not know it yet."""
        return await self._arun(script, [name], *arguments)

    async def _arun(self, script: Script, names: list[bytes], *arguments: Any) -> Any:
        pool = await self._pools.apool()
        rest = (len(names), *names, *arguments)
        try:
            return await self._aexchange(pool, "EVALSHA", script.digest, *rest)
        except client_errors() as error:
            if not is_refusal(error, "NOSCRIPT"):
                raise
        return await self._aexchange(pool, "EVAL", script.text, *rest)

    async def aget_all(self, names: list[bytes]) -> list[Any]:
        """Return what stands under the names; another type counts as nothing."""
        try:
            replies = await self._aexchange(await self._pools.apool(), "MGET", *names)
        except client_errors() as error:
            return [error] * len(names)
        return list(replies)

    async def arun_all(self, script: Script, names: list[bytes]) -> list[Any]:
        """Run a script that takes many names and answers for each."""
        try:
            replies = await self._arun(script, names)
        except client_errors() as error:
            return [error] * len(names)
        return list(replies)

    async def asend_all(self, names: list[bytes], commands: list[tuple[Any, ...]]) -> list[Any]:
        """Send a command about each name."""
        return await self._aexchange_many(await self._pools.apool(), commands)

    async def apages(self, pattern: bytes) -> AsyncIterator[list[bytes]]:
        """Yield the names that match, some of them perhaps twice."""
        async for names in self._apages_of(await self._pools.apool(), pattern):
            yield names

    async def aping(self) -> None:
        """Have the server answer."""
        await self.acall(b"", "PING")
