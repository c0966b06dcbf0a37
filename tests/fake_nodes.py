"""Nodes of a cluster that are none: they say what a test wants, and remember what they heard.

Each speaks as much of Redis' protocol as a client needs to connect and to ask for the map; all
else is answered by the test. For what a real cluster does too rarely, or never.
"""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from redis.crc import key_slot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOST = "127.0.0.1"
SLOTS = 16_384

Words = tuple[bytes, ...]

SILENCE = b""
CUT = None
"""Stands for an answer that is none: the connection is closed."""


def bulk(value: bytes) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(value), value)


class FakeNode:
    """Listens on a port of its own, with a thread for each connection.

    Attributes:
        answer: what it replies to a command, `SILENCE` or `CUT`.
        heard: the commands, without those that belong to connecting, by connection.
        is_silent: whether it answers nothing at all.
        greeting: seconds until it answers who has just connected.
        map: its reply to ``CLUSTER SLOTS``.
        slots: those that it says it serves, ``5-9``, when asked for ``CLUSTER NODES``.
        open: how many connections are open.
    """

    def __init__(self) -> None:
        self.answer: Callable[[Words], bytes | None] = lambda words: bulk(words[-1])
        self.heard: list[tuple[int, Words]] = []
        self.is_silent = False
        self.greeting = 0.0
        self.map = b"*0\r\n"
        self.slots = ""
        self.open = 0
        self._count = 0
        self._listener = socket.create_server((HOST, 0))
        self._ends: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept)

    @property
    def commands(self) -> list[Words]:
        """What it has heard, asking for the map left out."""
        return [words for _, words in list(self.heard) if words[0] != b"CLUSTER"]

    def refuse(self) -> None:
        """Refuse new connections; those that are open stay."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def close(self) -> None:
        """Close everything and wait for the threads."""
        self.refuse()
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def _start(self, run: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=run, args=arguments, name="fake node")
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                end, _ = self._listener.accept()
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._ends.append(end)
                self._count += 1
                self._start(self._serve, end, self._count)

    def _serve(self, end: socket.socket, number: int) -> None:
        self.open += 1
        with suppress(OSError), end, end.makefile("rb") as stream:
            while words := _read(stream):
                reply = self._reply(words, number)
                if reply is CUT:
                    break
                end.sendall(reply)
        self.open -= 1

    def _reply(self, words: Words, number: int) -> bytes | None:
        if self.is_silent:
            return SILENCE
        if words[0] == b"HELLO":
            time.sleep(self.greeting)
            return b"%2\r\n+proto\r\n:3\r\n+role\r\n+master\r\n"
        if words[0] == b"CLIENT":
            return b"+OK\r\n"
        self.heard.append((number, words))
        if words[:2] == (b"CLUSTER", b"SLOTS"):
            return self.map
        if words[:2] == (b"CLUSTER", b"NODES"):
            line = (
                f"{self.port:x} {HOST}:{self.port}@1 myself,master - 0 0 1 connected {self.slots}"
            )
            return bulk(f"{line}\n".encode())
        if words[0] in (b"ASKING", b"PING"):
            return b"+OK\r\n"
        return self.answer(words)


def _read(stream: object) -> Words:
    """Read one command; nothing at the end."""
    line = stream.readline()  # type: ignore[attr-defined]
    if not line:
        return ()
    words = []
    for _ in range(int(line[1:])):
        size = int(stream.readline()[1:])  # type: ignore[attr-defined]
        words.append(stream.read(size + 2)[:-2])  # type: ignore[attr-defined]
    return tuple(words)


class FakeCluster:
    """Some nodes that share the slots, and others that nobody has been told of.

    Args:
        served: how many share the slots, in order.
        unknown: how many don't.
    """

    def __init__(self, served: int, unknown: int = 0) -> None:
        self.nodes = sorted((FakeNode() for _ in range(served)), key=lambda node: node.port)
        self.unknown = [FakeNode() for _ in range(unknown)]
        self.tell(self.nodes)

    def tell(self, owners: list[FakeNode]) -> None:
        """Have all nodes say that these share the slots."""
        for node in [*self.nodes, *self.unknown]:
            node.slots = ""
        parts = []
        for number, node in enumerate(owners):
            first, after = (SLOTS * one // len(owners) for one in (number, number + 1))
            node.slots = f"{first}-{after - 1}"
            primary = b"*2\r\n%s:%d\r\n" % (bulk(HOST.encode()), node.port)
            parts.append(b"*3\r\n:%d\r\n:%d\r\n%s" % (first, after - 1, primary))
        told = b"*%d\r\n%s" % (len(parts), b"".join(parts))
        for node in [*self.nodes, *self.unknown]:
            node.map = told

    @property
    def url(self) -> str:
        """Address of the nodes that serve."""
        return "redis+cluster://" + ",".join(f"{HOST}:{node.port}" for node in self.nodes)

    def keys(self, number: int, count: int, namespace: str = "symphra") -> list[str]:
        """Return so many keys of one node's slots."""
        found: list[str] = []
        each = 0
        while len(found) < count:
            key = f"k{each}"
            first, after = (SLOTS * one // len(self.nodes) for one in (number, number + 1))
            if first <= key_slot(f"{namespace}:{key}".encode()) < after:
                found.append(key)
            each += 1
        return found

    def heard(self, *first: bytes) -> list[Words]:
        """Return the commands of these names that any node has heard."""
        nodes = [*self.nodes, *self.unknown]
        return [words for node in nodes for words in node.commands if words[0] in first]

    def redirect(self, kind: str, key: str, to: FakeNode) -> bytes:
        """Return the reply that sends a client on."""
        return f"-{kind} {key_slot(f'symphra:{key}'.encode())} {HOST}:{to.port}\r\n".encode()


@contextmanager
def running_fakes(served: int = 3, unknown: int = 0) -> Iterator[FakeCluster]:
    """Run such a cluster."""
    cluster = FakeCluster(served, unknown)
    try:
        yield cluster
    finally:
        for node in [*cluster.nodes, *cluster.unknown]:
            node.close()
