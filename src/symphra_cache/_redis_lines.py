"""A line: one connection to a Redis server that the calls of a loop share.

What `symphra_cache._redis_line_pool` gives it to send is answered in the same order, so it hands
each reply to the next caller as it comes. There is no task that reads: whoever is cancelled
takes nothing with him, his reply is read and dropped. One timer watches all that is under way.
"""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import islice

import redis

from symphra_cache._redis_pools import closed_pool, taken_writers
from symphra_cache._redis_replies import NOTHING, Push, reader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from symphra_cache._redis_line_pool import LinePool

__all__ = ["WINDOW", "Line", "fail"]

# Bytes of one reply that have come while it is not whole. Then it counts as large.
_LARGE_REPLY = 65_536
WINDOW = 262_144
"""Bytes of commands that may be under way on a line without an answer."""


class Line(asyncio.Protocol):
    """One connection that calls share. Its replies come in the order of the commands.

    Args:
        pool: to which it belongs.
        connection: redis-py's, connected, and lent to nobody else.
        is_own: whether it is for one call alone.
    """

    def __init__(self, pool: LinePool, connection: Any, *, is_own: bool = False) -> None:
        self.connection: Any = connection
        self.is_own: bool = is_own
        self._pool = pool
        self._reader = reader(connection._parser.parse_error)
        self._waiting: deque[asyncio.Future[Any]] = deque()
        # What was sent and is not answered as a whole: until when that has to be, how many
        # commands had been sent with it, and its size.
        self._packets: deque[tuple[float, int, int]] = deque()
        self._sent = 0
        self._left = 0
        self._under_way = 0
        self._partial = 0
        self._progress = 0.0
        self._is_shut = False
        self._is_late = False
        self._is_paused = False
        self._is_over = False
        self._timer: asyncio.TimerHandle | None = None
        self._transport: Any = connection._writer.transport
        self._streams: Any = self._transport.get_protocol()
        self._transport.set_protocol(self)

    @property
    def is_usable(self) -> bool:
        """Whether new commands may be sent here, now or as soon as there is room."""
        return not (self._is_shut or self._is_late or self.connection.is_suspect)

    @property
    def is_clogged(self) -> bool:
        """Whether a large reply is on its way, so that new commands had better go elsewhere."""
        return self._partial > _LARGE_REPLY

    @property
    def has_room(self) -> bool:
        """Whether little enough is under way."""
        return self._under_way < WINDOW and not self._is_paused

    @property
    def has_left(self) -> bool:
        """Whether callers have gone whose commands may not have been run yet."""
        return self._sent - len(self._waiting) < self._left

    def note_left(self) -> None:
        """Note that a caller has gone."""
        self._left = self._sent

    def owes(self, future: asyncio.Future[Any]) -> bool:
        """Tell whether a reply is still to come."""
        return future in self._waiting

    @property
    def is_needed(self) -> bool:
        """Whether somebody waits for a reply."""
        return any(not future.done() for future in self._waiting)

    def send(self, texts: list[bytes], futures: Sequence[asyncio.Future[Any]]) -> int:
        """Send commands in one packet, as far as there is room.

        Args:
            texts: what to send; empty for those whose text is a part of the one before.
            futures: where each reply goes.

        Returns:
            Of how many.
        """
        # Hot path.
        packet = b"".join(texts)
        size = len(packet)
        room = WINDOW - self._under_way
        if size > room:
            count, size = _fitting(texts, room)
            packet = b"".join(texts[:count])
            futures = futures[:count]
        self._waiting.extend(futures)
        self._sent += len(futures)
        self._packets.append((self._until(), self._sent, size))
        self._under_way += size
        self._transport.write(packet)
        return len(futures)

    def _until(self) -> float:
        """Return when what is sent now has to be answered; see to it that somebody looks."""
        patience = self.connection.socket_timeout
        if patience is None:
            return 0.0
        until: float = self._pool.loop.time() + patience
        if self._timer is None:
            self._timer = self._pool.loop.call_at(until, self._check_time)
        return until

    def data_received(self, data: bytes) -> None:
        """Hand the replies that are whole to their callers."""
        # Hot path.
        waiting, gets = self._waiting, self._reader.gets
        before = len(waiting)
        try:
            self._reader.feed(data)
            while (reply := gets()) is not NOTHING:
                if type(reply) is Push:
                    continue
                future = waiting.popleft()
                if not future.done():
                    future.set_result(reply)
        except (redis.RedisError, IndexError, ValueError):
            self.end(redis.InvalidResponse("the server's replies make no sense"))
            return
        if len(waiting) != before:
            self._progress = self._pool.loop.time()
            self._partial = 0
            self._settle()
        else:
            self._partial += len(data)

    def _settle(self) -> None:
        """Note what has been answered, and go on."""
        answered = self._sent - len(self._waiting)
        packets = self._packets
        while packets and packets[0][1] <= answered:
            self._under_way -= packets.popleft()[2]
        if not self._waiting:
            self._is_late = False
            self._pool.note_idle(self)
        self._pool.go_on()

    def _check_time(self) -> None:
        self._timer = None
        if not self._packets or self._is_over:
            return
        now = self._pool.loop.time()
        # Who answers one after the other, each in time, is not late.
        until = max(self._packets[0][0], self._progress + self.connection.socket_timeout)
        if until <= now:
            self._is_late = True
            self._fail_late(now)
            until = next((packet[0] for packet in self._packets if packet[0] > now), 0.0)
            if not until:
                self.end(None)
                return
        self._timer = self._pool.loop.call_at(until, self._check_time)

    def _fail_late(self, now: float) -> None:
        """Tell the callers whose time is up; those who came later have theirs still."""
        count = max(packet[1] for packet in self._packets if packet[0] <= now)
        count -= self._sent - len(self._waiting)
        error = redis.TimeoutError(f"Timeout reading from {self.connection._host_error()}")
        self.connection.note(error)
        for future in islice(self._waiting, count):
            fail(future, error)
        if not self.is_own:
            waited = "Timeout waiting for others, whom the server does not answer"
            self._pool.note_late(redis.TimeoutError(waited))

    def pause_writing(self) -> None:
        """Hold back commands: the server does not take them as fast."""
        self._is_paused = True
        self._streams.pause_writing()

    def resume_writing(self) -> None:
        """Go on. What is large has had its time to be sent; now it has that to be answered."""
        self._is_paused = False
        self._progress = self._pool.loop.time()
        self._streams.resume_writing()
        self._pool.go_on()

    def eof_received(self) -> bool:
        """Send nothing more, and let the transport close."""
        self.shut()
        self._streams.eof_received()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """Tell the callers."""
        self._streams.connection_lost(error)
        told = f" : {error}" if error else ""
        where = self.connection._host_error()
        lost = redis.ConnectionError(f"Connection closed by server, {where}{told}")
        self.end(lost)

    def shut(self) -> None:
        """Take no new commands any more."""
        self._is_shut = True

    def abandon(self) -> None:
        """Forget about it, for it is closed without the help of the loop."""
        self._is_over = self._is_shut = True
        if self._timer is not None:
            self._timer.cancel()

    def let_go(self) -> bool:
        """Give the connection back to redis-py's stream; tell whether it can be used on."""
        if self._waiting or not self.is_usable or self._reader.has_data():
            return False
        self.abandon()
        self._transport.set_protocol(self._streams)
        return True

    def end(self, error: Exception | None) -> list[asyncio.StreamWriter]:
        """Close the connection without waiting, and tell who waits for replies why.

        Returns:
            What the loop has yet to finish with.
        """
        if self._is_over:
            return []
        self.abandon()
        if error is not None and self._waiting:
            self.connection.note(error)
        for future in self._waiting:
            fail(future, error or closed_pool())
        self._waiting.clear()
        self._packets.clear()
        writers = taken_writers([self.connection])
        for writer in writers:
            writer.transport.abort()
        self._pool.note_end(self)
        return writers


def _fitting(texts: Sequence[bytes], room: int) -> tuple[int, int]:
    """Return how many texts go into so many bytes, one at the least, and their size."""
    count = size = 0
    while count < len(texts) and (
        not count or not texts[count] or size + len(texts[count]) <= room
    ):
        size += len(texts[count])
        count += 1
    return count, size


def _again(error: Exception) -> Exception:
    """Return an error for one more caller: each adds to it where it was raised."""
    try:
        other = type(error)(*error.args)
    except TypeError:
        return error
    other.__cause__ = error.__cause__
    return other


def fail(future: asyncio.Future[Any], error: Exception) -> None:
    """Tell the caller who waits for a reply that none will come."""
    if not future.done():
        future.set_exception(_again(error))
        future.exception()  # if its caller is gone, nobody else asks
