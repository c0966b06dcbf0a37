"""Connections to the master that sentinels name, looked up each time they connect.

A look-up is a connection of its own, thrown away afterwards, so there is nothing to fork, to
leave or to close. One time-out, ``socket_connect_timeout``, covers asking all sentinels,
connecting and the greeting: each sentinel may take an equal share of what is left, and the master
gets one too. Both faces side by side; loaded with the first operation, together with redis-py.

Why not redis-py's own: it asks one sentinel after the other, with all retries and the whole
time-out for each; and it never looks at the role of the server that it reached, so a write may
go to a former master.
"""

from __future__ import annotations

import asyncio
import time

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from symphra_cache._redis_connections import AsyncBounded, Bounded, Connection, composed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from symphra_cache._redis_topology import Sentinels

__all__ = ["ASYNCIO", "BLOCKING"]

_ERRORS = (redis.RedisError, OSError)
# After one of these the server may be gone, or be a replica by now.
_DOUBTS = (
    redis.ConnectionError,
    redis.TimeoutError,
    redis.ReadOnlyError,
    redis.exceptions.MasterDownError,
)
# A server of 6.2 packs the first into another error when a script meets it. The second is what a
# master says that is cut off, if it was told to.
_CODES = ("-READONLY", "NOREPLICAS")


# Seconds after which what a sentinel has said is out of date when the master greets.
_LATE = 0.1


def _question(service: str) -> tuple[str, ...]:
    return "SENTINEL", "GET-MASTER-ADDR-BY-NAME", service


def _address(answer: Any) -> tuple[str, int]:
    host, port = answer
    return host.decode(), int(port)


def _nobody_knows(sentinels: Sentinels, last: Exception | None) -> redis.ConnectionError:
    """Return the error for a look-up without result: ``last`` is what one sentinel met."""
    reason = f"names {sentinels.service!r}: {last}" if last else f"knows {sentinels.service!r}"
    return redis.ConnectionError(f"no sentinel {reason}")


def _check_role(greeting: Any) -> None:
    """Refuse a replica: what it answers may be old, and what it is told is lost."""
    if not isinstance(greeting, dict):  # a list, in the older protocol
        greeting = dict(zip(greeting[::2], greeting[1::2], strict=True))
    if greeting.get(b"role") in (b"replica", b"slave"):
        raise redis.ConnectionError("the server that the sentinels name is a replica still")


def _is_doubtful(error: Exception) -> bool:
    return isinstance(error, _DOUBTS) or any(code in str(error) for code in _CODES)


class _ToSentinel(Connection):
    """Options of connections to sentinels. They greet nobody: one question is all."""

    def __init__(self, *, service: str, **options: Any) -> None:
        super().__init__(protocol=2, **options)
        self.answer: Any = None
        self._service = service
        # Else redis-py says who it is, in its own round trips.
        self.driver_info = self.lib_name = self.lib_version = None


class _Asking(_ToSentinel, Bounded):
    """A sentinel that is asked for the master as part of connecting, within its time-out."""

    def _complete(self) -> None:
        self.send_command(*_question(self._service), check_health=False)
        self.answer = self.read_response()


class _AsyncAsking(_ToSentinel, AsyncBounded):
    """A sentinel that is asked for the master as part of connecting, within its time-out."""

    async def _complete(self) -> None:
        await self.send_command(*_question(self._service), check_health=False)
        self.answer = await self.read_response()

    def abandon(self) -> None:
        """Close it without waiting, whatever state it is in."""
        writer, self._writer, self._reader = self._writer, None, None
        if writer is not None:
            writer.transport.abort()


class _Following(Connection):
    """What a connection knows of the sentinels; see `Sentinels`."""

    def __init__(self, *, sentinels: Sentinels, **options: Any) -> None:
        self._sentinels = sentinels
        self._generation = sentinels.generation
        self._teller: tuple[str, int] | None = None
        self._master: tuple[str, int] | None = None
        super().__init__(**options)

    def suspect(self) -> None:
        """Have all connections look up the master before they are used once more."""
        self._sentinels.suspect()

    def note(self, error: Exception) -> None:
        """Note how a command ended: a failure, or a replica's answer, makes all suspect."""
        if _is_doubtful(error):
            self.suspect()

    @property
    def is_suspect(self) -> bool:
        """Whether there was a doubt since it connected, or another has found another master."""
        sentinels = self._sentinels
        return self._generation != sentinels.generation or self._master != sentinels.master

    def _begin(self) -> None:
        self._generation = self._sentinels.generation
        self._master = None
        self._teller = None

    def _found(self, address: tuple[str, int]) -> None:
        """Note whom a sentinel has named."""
        self.host, self.port = address
        self._found_at = time.monotonic()

    @property
    def _is_late(self) -> bool:
        """Whether the server took its time to greet: another may have been named meanwhile."""
        return time.monotonic() - self._found_at > _LATE

    def _check_master(self, named: tuple[str, int]) -> None:
        """Refuse a former master that has not heard of it yet, as it stood still."""
        if named != (self.host, self.port):
            raise redis.ConnectionError("the sentinels name another master than a moment ago")

    def _note_master(self) -> None:
        """Note which server is the master; those that lead to another are suspect now."""
        self._master = self._sentinels.master = (self.host, self.port)

    def _failed(self) -> None:
        """Ask another sentinel next time: the one that named this server may be cut off."""
        if self._teller is not None:
            self._sentinels.doubt(self._teller)


class _MasterConnection(_Following, Bounded):
    """Mixin: a connection of the blocking face to the master of the moment."""

    asking_class: type[_Asking]

    def connect(self) -> None:
        """Connect, also anew if there is a doubt that this is the master still."""
        if self.is_suspect:
            self.disconnect()
        super().connect()

    def connect_check_health(self, *arguments: Any, **named: Any) -> None:
        """Connect, unless that has been done, and greet the master."""
        try:
            super().connect_check_health(*arguments, **named)
        except _ERRORS:
            self._failed()
            raise

    def _connect(self) -> Any:
        self._begin()
        self._found(self._find_master())
        return super()._connect()

    def _find_master(self) -> tuple[str, int]:
        assert self._until is not None
        last: Exception | None = None
        order = self._sentinels.order
        for left, sentinel in zip(range(len(order), 0, -1), order, strict=True):
            share = max(self._until - time.monotonic(), 0.001) / (left + 1)
            asked = self.asking_class(
                **self._sentinels.connection(sentinel, share), retry=Retry(NoBackoff(), 0)
            )
            try:
                asked.connect()
                if asked.answer:
                    self._teller = sentinel
                    return _address(asked.answer)
            except _ERRORS as error:
                last = error
            finally:
                asked.disconnect()
            self._sentinels.doubt(sentinel)
        raise _nobody_knows(self._sentinels, last) from last

    def _complete(self) -> None:
        super()._complete()
        self.send_command("HELLO", check_health=False)
        _check_role(self.read_response())
        if self._is_late:
            self._check_master(self._find_master())
        self._note_master()

    def read_response(self, *arguments: Any, **named: Any) -> Any:
        """Read an answer; a failure, or that of a replica, makes all connections suspect."""
        try:
            return super().read_response(*arguments, **named)
        except _ERRORS as error:
            self.note(error)
            raise


class _AsyncMasterConnection(_Following, AsyncBounded):
    """Mixin: a connection of a loop to the master of the moment."""

    asking_class: type[_AsyncAsking]
    # The sentinel that is being asked, for `LoopPool`, which may have to close it.
    asking: _AsyncAsking | None = None

    async def connect(self) -> None:
        """Connect, also anew if there is a doubt that this is the master still."""
        if self.is_suspect and self.is_connected:
            self._writer.transport.abort()
            await self.disconnect(nowait=True)
        await super().connect()

    async def connect_check_health(self, *arguments: Any, **named: Any) -> None:
        """Connect, unless that has been done, and greet the master."""
        try:
            await super().connect_check_health(*arguments, **named)
        except _ERRORS:
            self._failed()
            raise

    async def _connect(self) -> None:
        self._begin()
        self._found(await self._find_master())
        await super()._connect()

    async def _find_master(self) -> tuple[str, int]:
        last: Exception | None = None
        order = self._sentinels.order
        clock = asyncio.get_running_loop().time
        for left, sentinel in zip(range(len(order), 0, -1), order, strict=True):
            share = max(self._until - clock(), 0.001) / (left + 1)
            asked = self.asking = self.asking_class(
                **self._sentinels.connection(sentinel, share), retry=AsyncRetry(NoBackoff(), 0)
            )
            if hasattr(self, "ssl_context"):
                asked.ssl_context = self.ssl_context
            try:
                await asked.connect()
                if asked.answer:
                    self._teller = sentinel
                    return _address(asked.answer)
            except _ERRORS as error:
                last = error
            finally:
                self.asking = None
                asked.abandon()
            self._sentinels.doubt(sentinel)
        raise _nobody_knows(self._sentinels, last) from last

    async def _complete(self) -> None:
        await super()._complete()
        await self.send_command("HELLO", check_health=False)
        _check_role(await self.read_response())
        if self._is_late:
            self._check_master(await self._find_master())
        self._note_master()

    async def read_response(self, *arguments: Any, **named: Any) -> Any:
        """Read an answer; a failure, or that of a replica, makes all connections suspect."""
        try:
            return await super().read_response(*arguments, **named)
        except _ERRORS as error:
            self.note(error)
            raise


def _following(master: type, asking: type, base: type) -> type:
    return composed(master, base, asking_class=composed(asking, base))


BLOCKING: dict[str, type] = {
    "tcp": _following(_MasterConnection, _Asking, redis.Connection),
    "tls": _following(_MasterConnection, _Asking, redis.SSLConnection),
}
ASYNCIO: dict[str, type] = {
    "tcp": _following(_AsyncMasterConnection, _AsyncAsking, redis.asyncio.Connection),
    "tls": _following(_AsyncMasterConnection, _AsyncAsking, redis.asyncio.SSLConnection),
}
"""The classes of either face, by the way to the master and to the sentinels."""
