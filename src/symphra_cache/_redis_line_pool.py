"""Auto-pipelining: the commands of one turn of a loop go out together, on a line that they share.

To the routes it looks as if each call were lent a connection of its own. Commands that are large
do get one, from `LoopPool`. Loaded with the first operation.
"""

from __future__ import annotations

import asyncio
from itertools import compress

from symphra_cache._redis_lines import Line, fail
from symphra_cache._redis_pools import LoopPool, closed_pool
from symphra_cache._redis_replies import packed
from symphra_cache._redis_unsent import is_unsent, mark_unsent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from symphra_cache._redis_breaker import NodeBreaker

__all__ = ["LARGE", "LinePool"]

LARGE = 16_384
"""Bytes. A larger command travels on a connection of its own."""
# Lines of a loop to one server. The others serve while one is busy with a large reply.
_LINES = 4


class Share:
    """What a call is lent: a part of a line, which looks like a connection.

    Args:
        pool: whose line it is.
    """

    __slots__ = ("_at", "_futures", "_own", "_pool")

    def __init__(self, pool: LinePool) -> None:
        self._pool = pool
        self._own: Line | None = None
        self._at = 0
        self._futures: Sequence[asyncio.Future[Any]] = ()

    def pack_command(self, *command: Any) -> bytes:
        """Return the command as it travels."""
        return self.pack_commands([command])

    def pack_commands(self, commands: Iterable[Sequence[Any]]) -> bytes:
        """Return commands as they travel."""
        texts = [packed(tuple(command)) for command in commands]
        make = self._pool.loop.create_future
        self._futures = [make() for _ in texts]
        return b"".join(texts)

    async def send_packed_command(self, text: bytes) -> None:
        """Have it sent with the others of this turn, or at once if it is large."""
        if len(text) > LARGE:
            self._own = await self._pool.send_alone(text, self._futures)
        else:
            self._pool.enqueue(text, self._futures)

    async def read_response(self) -> Any:
        """Return the next reply, or raise it if it is an error."""
        reply = await self._futures[self._at]
        self._at += 1
        if isinstance(reply, Exception):
            self._pool.note_answer(reply)
            raise reply
        return reply

    async def drop(self) -> None:
        """Give up what is still to come. On a line that others share it is read, and dropped."""
        for future in self._futures:
            future.cancel()
        if self._own is None:
            self._pool.note_left(self._futures)

    async def release(self) -> None:
        """Give back a line of one's own."""
        own, self._own = self._own, None
        if own is not None:
            await self._pool.end_alone(own)


class LinePool(LoopPool):
    """Connections to one server for the tasks of one loop, of which small calls share few.

    Args:
        breaker: the circuit of the server.
        tls: where the context for TLS is kept, for all loops.
        options: redis-py's.
    """

    def __init__(self, breaker: NodeBreaker, tls: list[Any], **options: Any) -> None:
        super().__init__(breaker, tls, **options)
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self._lines: list[Line] = []  # that take new commands, and ...
        self._alive: set[Line] = set()  # these with those that only have to be answered still
        # What is to be sent; of several commands in one text, the others' are empty.
        self._texts: list[bytes] = []
        self._futures: list[asyncio.Future[Any]] = []
        self._is_due = False
        self._opening: asyncio.Task[None] | None = None
        self._hoping: list[asyncio.Future[None]] = []

    @property
    def is_lending(self) -> bool:
        """Whether somebody waits for a reply, or is about to."""
        idle = sum([not line.is_needed for line in self._alive])
        return bool(self._texts) or len(self._in_use_connections) > idle

    async def get_connection(self, *_: Any, **__: Any) -> Any:
        """Lend a part of a line, once there is one that works."""
        # Hot path.
        if self.is_closed:
            raise closed_pool()
        self.breaker.admit()
        lines = self._lines
        if not lines or not lines[0].is_usable:
            await self._any_line()
        return Share(self)

    async def release(self, connection: Any) -> None:
        """Take back what was lent."""
        await connection.release()

    async def exchange(self, *command: Any) -> Any:
        """Send one command; return the reply, or raise it if it is an error."""
        # Hot path: what `Share` does for several commands, in one.
        try:
            if self.is_closed:
                raise closed_pool()
            self.breaker.admit()
            lines = self._lines
            if not lines or not lines[0].is_usable:
                await self._any_line()
        except Exception as error:
            mark_unsent(error)
            raise
        text = packed(command)
        if len(text) > LARGE:
            return await self._exchange_alone(text)
        future: asyncio.Future[Any] = self.loop.create_future()
        self._texts.append(text)
        self._futures.append(future)
        if not self._is_due:
            self._is_due = True
            self.loop.call_soon(self._flush)
        try:
            reply = await future
        except BaseException as error:
            self.breaker.failed(error)
            self.note_left((future,))
            raise
        if isinstance(reply, Exception):
            self.note_answer(reply)
            self.breaker.failed(reply)
            raise reply
        self.breaker.succeeded()
        return reply

    async def _exchange_alone(self, text: bytes) -> Any:
        future: asyncio.Future[Any] = self.loop.create_future()
        line = await self.send_alone(text, (future,))
        try:
            reply = await future
        except BaseException as error:
            self.breaker.failed(error)
            raise
        finally:
            await self.end_alone(line)
        if isinstance(reply, Exception):
            self.note_answer(reply)
            self.breaker.failed(reply)
            raise reply
        self.breaker.succeeded()
        return reply

    async def send_alone(self, text: bytes, futures: Sequence[asyncio.Future[Any]]) -> Line:
        """Send what is large on a line of its own, so that others need not wait."""
        try:
            connection = await self.lend(is_admitted=True)
        except Exception as error:
            mark_unsent(error)
            raise
        line = Line(self, connection, is_own=True)
        self._alive.add(line)
        line.send([text, *[b""] * (len(futures) - 1)], futures)
        return line

    async def end_alone(self, line: Line) -> None:
        """Take back the connection of such a line, if all has been answered; else close it."""
        if line.let_go():
            self._alive.discard(line)
            await self.take_back(line.connection)
        else:
            line.end(None)

    async def note(self, connection: Any, error: BaseException) -> None:
        """Note what an exchange ended with; who could not connect has told the circuit so."""
        if is_unsent(error):
            await self.drop(connection)
        else:
            await super().note(connection, error)

    @staticmethod
    async def send(connection: Any, packed: Any) -> None:
        """Send what was packed; see `Share.send_packed_command`."""
        await connection.send_packed_command(packed)

    @staticmethod
    async def drop(connection: Any) -> None:
        """Give up what is still to come; see `Share.drop`."""
        await connection.drop()

    async def _any_line(self) -> None:
        """Wait until there is a line that works.

        Raises:
            redis.RedisError: the server can't be reached.
        """
        self._retire_useless()
        if not self._lines:
            hope: asyncio.Future[None] = self.loop.create_future()
            self._hoping.append(hope)
            self._open()
            await hope

    def _retire_useless(self) -> None:
        """Take no more lines into account that don't work; they end when nobody waits for them."""
        useless = [line for line in self._lines if not line.is_usable]
        for line in useless:
            self._lines.remove(line)
            if not line.is_needed:
                line.end(None)

    def enqueue(self, text: bytes, futures: Sequence[asyncio.Future[Any]]) -> None:
        """Have commands sent at the end of this turn of the loop, one right after the other."""
        if futures:
            self._texts += [text, *[b""] * (len(futures) - 1)]
            self._futures += futures
            self.go_on()

    def note_left(self, futures: Sequence[asyncio.Future[Any]]) -> None:
        """Note that a caller has gone, whose commands may not have been run yet.

        What he sends next must not overtake them on another line.
        """
        for line in self._alive:
            # To look is dear when thousands go at once, and with one line there is no need to.
            if len(self._alive) == 1 or (futures and line.owes(futures[-1])):
                line.note_left()

    def note_late(self, error: Exception) -> None:
        """Tell those who wait for room that the server does not answer."""
        self._fail_queue(error)

    def note_answer(self, error: Exception) -> None:
        """Note an error that a server has answered with."""
        for line in self._lines:
            line.connection.note(error)
            break

    def go_on(self) -> None:
        """Send what waits, once those have run who have just been answered."""
        if self._texts and not self._is_due:
            self._is_due = True
            self.loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._is_due = False
        self._forget_cancelled()
        if not self._texts:
            return
        line = self._chosen()
        if line is None:
            if len(self._lines) < _LINES:
                self._open()
        elif line.has_room:
            sent = line.send(self._texts, self._futures)
            del self._texts[:sent], self._futures[:sent]

    def _forget_cancelled(self) -> None:
        """Leave out what nobody wants any more, but for the parts of several commands."""
        futures, texts = self._futures, self._texts
        gone = [future.cancelled() for future in futures]
        if True in gone:
            alone = [*map(bool, texts[1:]), True]
            wanted = [not (gone[at] and texts[at] and alone[at]) for at in range(len(texts))]
            self._texts = list(compress(texts, wanted))
            self._futures = list(compress(futures, wanted))

    def _chosen(self) -> Line | None:
        """Return the line for what is sent next, ``None`` if all are busy."""
        self._retire_useless()
        for line in self._lines:
            if line.has_left:
                return line
        for line in self._lines:
            if not line.is_clogged:
                return line
        return None

    def _open(self) -> None:
        """Open one more line, unless somebody is at it."""
        if self._opening is None:
            self._opening = self.loop.create_task(self._connect())

    async def _connect(self) -> None:
        """Open a line, and tell all who wait for one what came of it.

        In a task of its own, for none of them may take it with him when he is cancelled.
        """
        error: Exception = closed_pool()
        is_open = False
        try:
            await self._connect_line()
            is_open = True
        except Exception as found:
            error = found
        finally:
            self._opening = None
            self._told(None if is_open else error)

    async def _connect_line(self) -> None:
        connection = self._spare()
        try:
            await self._ensured(connection)
            if self.is_closed:
                raise closed_pool()
        except BaseException:
            await self.take_back(connection)
            raise
        line = Line(self, connection)
        self._lines.append(line)
        self._alive.add(line)

    def _spare(self) -> Any:
        """Return a connection that nobody uses. Large calls can't have all of them."""
        idle = self._available_connections
        connection = idle.pop() if idle else self.make_connection()
        self._in_use_connections.add(connection)
        return connection

    def _told(self, error: Exception | None) -> None:
        hoping, self._hoping = self._hoping, []
        for hope in hoping:
            if error is not None:
                fail(hope, error)
            elif not hope.done():
                hope.set_result(None)
        if error is not None:
            self._fail_queue(error)
        self.go_on()

    def _fail_queue(self, error: Exception) -> None:
        futures, self._texts, self._futures = self._futures, [], []
        for future in futures:
            fail(future, error)

    def note_idle(self, line: Line) -> None:
        """Close a line that has answered all, if it is not to be used again."""
        if not line.is_own and (self.is_closed or line not in self._lines):
            line.end(None)

    def note_end(self, line: Line) -> None:
        """Forget a line whose connection is closed."""
        self._alive.discard(line)
        if line in self._lines:
            self._lines.remove(line)
        self._hand_on(line.connection)
        self.go_on()

    def close(self) -> list[asyncio.StreamWriter]:
        """Close what nobody waits for, and the rest when it has been answered; on the loop."""
        writers = super().close()
        if self._opening is not None:
            self._opening.cancel()
        for line in [line for line in self._alive if not line.is_needed]:
            writers += line.end(None)
        self._fail_queue(closed_pool())
        return writers

    def leave(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Close what nobody waits for without the help of a loop that stands still, or ended."""
        for line in [line for line in self._alive if not line.is_needed]:
            line.abandon()
            self._alive.discard(line)
            self._in_use_connections.discard(line.connection)
            self._available_connections.append(line.connection)
        super().leave(loop)
