"""How a pool's connections are talked with, both faces; and the pools of a program's clients.

Loaded with the first operation, together with redis-py.
"""

from __future__ import annotations

import asyncio

import redis

from symphra_cache._redis_connections import check_writer
from symphra_cache._redis_errors import is_answer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from symphra_cache._redis_breaker import NodeBreaker

__all__ = ["GRACE", "BlockingTalk", "InjectedLoopPool", "InjectedPool", "LoopTalk"]

GRACE = 0.02
"""Seconds in which is fetched what is there already."""


class BlockingTalk:
    """What is done with connections that threads are lent."""

    breaker: NodeBreaker
    get_connection: Any
    release: Any

    def exchange(self, *command: Any) -> Any:
        """Send one command; return the reply, or raise it if it is an error."""
        # Hot path.
        connection = self.get_connection()
        try:
            self.send(connection, connection.pack_command(*command))
            reply = connection.read_response()
        except BaseException as error:
            self.note(connection, error)
            raise
        else:
            self.breaker.succeeded()
            return reply
        finally:
            self.release(connection)

    def note(self, connection: Any, error: BaseException) -> None:
        """Note what an exchange ended with; a reply still to come must reach nobody else."""
        self.breaker.failed(error)
        if not is_answer(error):
            self.drop(connection)

    @staticmethod
    def send(connection: Any, packed: Any) -> None:
        """Send commands that were packed."""
        connection.send_packed_command(packed, check_health=False)

    @staticmethod
    def read_replies(
        connection: Any, count: int, replies: list[Any], *, is_late: bool = False
    ) -> None:
        """Read so many replies; errors that are answers stand among them.

        Args:
            connection: to which as many commands were sent.
            count: how many there must be in the end.
            replies: where they go, so that those are known that came before a failure.
            is_late: whether to wait no longer than it takes to fetch what is there already.
        """
        if is_late:
            connection._sock.settimeout(GRACE)
        while len(replies) < count:
            try:
                replies.append(connection.read_response())
            except redis.ResponseError as error:
                replies.append(error)
        if is_late:
            connection._sock.settimeout(connection.socket_timeout)

    @staticmethod
    def drop(connection: Any) -> None:
        """Disconnect, since what is still to come must reach nobody else."""
        connection.disconnect()


class LoopTalk:
    """What is done with connections that the tasks of a loop are lent."""

    breaker: NodeBreaker
    get_connection: Any
    release: Any

    async def exchange(self, *command: Any) -> Any:
        """Send one command; return the reply, or raise it if it is an error."""
        connection = await self.get_connection()
        try:
            await self.send(connection, connection.pack_command(*command))
            reply = await connection.read_response()
        except BaseException as error:
            await self.note(connection, error)
            raise
        else:
            self.breaker.succeeded()
            return reply
        finally:
            await self.release(connection)

    async def note(self, connection: Any, error: BaseException) -> None:
        """Note what an exchange ended with; a reply still to come must reach nobody else."""
        self.breaker.failed(error)
        if not is_answer(error):
            await self.drop(connection)

    @staticmethod
    async def send(connection: Any, packed: Any) -> None:
        """Send commands that were packed."""
        check_writer(connection)
        await connection.send_packed_command(packed, check_health=False)

    @staticmethod
    async def read_replies(
        connection: Any, count: int, replies: list[Any], *, is_late: bool = False
    ) -> None:
        """Read so many replies; see the blocking twin."""
        try:
            async with asyncio.timeout(GRACE if is_late else None) as limit:
                while len(replies) < count:
                    try:
                        replies.append(await connection.read_response())
                    except redis.ResponseError as error:
                        replies.append(error)
                    if is_late:
                        # Many take their time, though all have come long since.
                        limit.reschedule(asyncio.get_running_loop().time() + GRACE)
        except TimeoutError:
            raise redis.TimeoutError("Timeout reading: the time of the call is up") from None

    @staticmethod
    async def drop(connection: Any) -> None:
        """Disconnect, since what is still to come must reach nobody else; waits for nothing."""
        await connection.disconnect(nowait=True)


class _Injected:
    def __init__(self, pool: Any, breaker: NodeBreaker) -> None:
        self.breaker: NodeBreaker = breaker
        self._pool = pool
        self.release: Any = pool.release


class InjectedPool(BlockingTalk, _Injected):
    """The pool of a blocking client that the program made, behind a circuit breaker.

    Args:
        pool: redis-py's.
        breaker: the circuit of the server.
    """

    def get_connection(self) -> Any:
        """Lend a connection, on the pool's own terms."""
        self.breaker.admit()
        try:
            return self._pool.get_connection()
        except Exception as error:
            self.breaker.failed(error)
            raise


class InjectedLoopPool(LoopTalk, _Injected):
    """The same for an asyncio client."""

    async def get_connection(self) -> Any:
        """Lend a connection, on the pool's own terms."""
        self.breaker.admit()
        try:
            return await self._pool.get_connection()
        except Exception as error:
            self.breaker.failed(error)
            raise
