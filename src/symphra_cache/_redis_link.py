"""One connection on which a server tells what is written, by ``CLIENT TRACKING … BCAST``.

Once a second the server has to say who it is. As replies and news come in one order, its answer
confirms that all news from before the question has been heard. Loaded with the first link,
together with redis-py.
"""

from __future__ import annotations

import selectors
from collections import deque
from time import monotonic

import redis

from symphra_cache._redis_replies import NOTHING, Push, packed, reader

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable
    from typing import Any, TypeAlias

    # A command, and what is to be done with its reply.
    Question: TypeAlias = tuple[tuple[Any, ...], Callable[[Any], None]]

__all__ = ["PROBE_EVERY", "TRUSTED", "Session"]

PROBE_EVERY = 1.0
"""Seconds between two questions. One must be answered within as many."""

TRUSTED = 2.2
"""Seconds that an answer is good for, from when the question was sent."""

_CHUNK = 65_536
# There is no poll on Windows.
_SELECTOR: type[selectors.BaseSelector] = getattr(
    selectors, "PollSelector", selectors.SelectSelector
)


class Session:
    """The talk on one connection, from its beginning to its end. For one thread.

    Args:
        connection: one of redis-py's, connected, with the protocol's version 3.
        bell: becomes readable when somebody wants something of the thread.
        told: is called with names that were written; ``None``: all.
        confirmed: is called with when a question was sent that is answered now, on the
            monotonic clock.
        of_cluster: whether the server must be a primary, and its cluster remain as it is.
    """

    def __init__(
        self,
        connection: Any,
        bell: socket.socket,
        told: Callable[[list[bytes] | None], None],
        confirmed: Callable[[float], None],
        *,
        of_cluster: bool,
    ) -> None:
        self._connection = connection
        self._sock: Any = connection._sock
        self._bell = bell
        self._told = told
        self._confirmed = confirmed
        self._of_cluster = of_cluster
        self._reader = reader(connection._parser.parse_error)
        # What is to be done with the replies that are still to come.
        self._due: deque[Callable[[Any], None]] = deque()
        self._asked_at = 0.0
        self._is_asked = False
        self._known: dict[str, Any] = {}
        # Not epoll: that is a descriptor too, which a forked child would inherit.
        self._selector = _SELECTOR()
        self._selector.register(self._sock, selectors.EVENT_READ)
        self._selector.register(bell, selectors.EVENT_READ)

    def close(self) -> None:
        """Let go of what belongs to the session; the connection is the caller's."""
        self._selector.close()

    def track(self, prefixes: Iterable[bytes], then: Callable[[], None]) -> None:
        """Have the server tell of names with these prefixes, too; call ``then`` when it does."""
        words: list[Any] = ["CLIENT", "TRACKING", "ON", "BCAST"]
        for prefix in prefixes:
            words += ["PREFIX", prefix]

        def tracked(_: Any) -> None:
            then()

        self._send((tuple(words), tracked))

    def wait(self) -> None:
        """Take what comes, and put the next question when it is due; return when the bell rings.

        Raises:
            redis.RedisError: there is a doubt about the link.
            OSError: likewise.
        """
        patience = max(0.0, self._asked_at + PROBE_EVERY - monotonic())
        for key, _ in self._selector.select(patience):
            if key.fileobj is self._bell:
                self._bell.recv(_CHUNK)
            else:
                self._receive()
        # Not before: a thread that had to wait for its turn finds the answer waiting, too.
        now = monotonic()
        if now >= self._asked_at + PROBE_EVERY:
            self._ask(now)

    def _ask(self, now: float) -> None:
        if self._is_asked:
            raise redis.TimeoutError("Timeout waiting for the answer to a question")
        if getattr(self._connection, "is_suspect", False):
            raise redis.ConnectionError("the sentinels are to be asked for the master again")
        self._asked_at, self._is_asked = now, True
        # A server that is stuck in a script answers HELLO, and replies to writes that came just
        # before, but tells of these only when the script has ended. It refuses the other question.
        first: Question = (("CLUSTER", "INFO"), self._check_cluster)
        if not self._of_cluster:
            first = (("PING",), _nothing_to_do)
        self._send(first, (("HELLO",), self._check_role))

    def _check_role(self, reply: Any) -> None:
        role = reply.get(b"role")
        self._must_stay("role", role)
        if self._of_cluster and role != b"master":
            raise redis.ConnectionError("the node is no primary")
        self._is_asked = False
        self._confirmed(self._asked_at)

    def _check_cluster(self, reply: Any) -> None:
        text = reply.encode() if isinstance(reply, str) else bytes(reply)
        lines = dict(line.partition(b":")[::2] for line in text.split(b"\r\n"))
        if lines.get(b"cluster_state") != b"ok":
            raise redis.ConnectionError("the cluster is down")
        # Rises with each failover, and with each slot that has moved.
        self._must_stay("epoch", lines.get(b"cluster_current_epoch"))

    def _must_stay(self, what: str, found: Any) -> None:
        if self._known.setdefault(what, found) != found:
            raise redis.ConnectionError(f"the server's {what} is another one now")

    def _send(self, *questions: Question) -> None:
        self._due.extend([then for _, then in questions])
        # In one packet, which costs the server half of what two do.
        self._sock.sendall(b"".join([packed(command) for command, _ in questions]))

    def _receive(self) -> None:
        while True:
            received = self._sock.recv(_CHUNK)
            if not received:
                raise redis.ConnectionError("Connection closed by server.")
            self._reader.feed(received)
            # What TLS has decrypted already makes no socket readable.
            if not getattr(self._sock, "pending", int)():
                break
        while (reply := self._reader.gets()) is not NOTHING:
            if isinstance(reply, Push):
                if reply[0] == b"invalidate":
                    self._told(reply[1])
            elif isinstance(reply, Exception):
                raise reply
            else:
                self._due.popleft()(reply)


def _nothing_to_do(_: Any) -> None:
    """Take an answer that says nothing but that there is one."""
