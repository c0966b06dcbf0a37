"""A proxy between a client and a server on loopback, which does to their bytes what networks do.

A thread for each connection passes on what comes from either side. On demand it resets the
connection at a given byte, passes bytes on one by one, late, or not at all.
"""

from __future__ import annotations

import select
import socket
import struct
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    Direction = Literal["request", "reply"]

HOST = "127.0.0.1"
CHUNK = 65_536
# To close with this set sends RST at once, and drops what has not been sent.
RESET = struct.pack("ii", 1, 0)


class CutError(Exception):
    """The connection is to be reset now."""


class TCPProxy:
    """Listens on a port of its own and joins each connection with one to the server.

    Attributes:
        passed: bytes that have come from the clients and from the server, whether passed on or
            not, since `count`.
        connections: how many have been accepted.
        arrivals: when something came from a client, by the monotonic clock.
        delay: seconds by which whatever comes is passed on later.
        fragments: whether bytes are passed on one by one.
        silent: whether nothing is passed on, though everything is taken.
    """

    def __init__(self, server: tuple[str, int]) -> None:
        self.server = server
        self.delay = 0.0
        self.fragments = self.silent = False
        self.connections = 0
        self.arrivals: list[float] = []
        self.passed: dict[Direction, int] = {"request": 0, "reply": 0}
        self._cut: tuple[Direction, int] | None = None
        self._lock = threading.Lock()
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self._over = False
        self._threads = [threading.Thread(target=self._accept, name="proxy")]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}"

    def count(self) -> None:
        """Begin to count bytes anew."""
        with self._lock:
            self.passed = {"request": 0, "reply": 0}

    def cut(self, direction: Direction, after: int) -> None:
        """Reset the connection on which so many bytes have passed, from now on, and only that."""
        with self._lock:
            self.passed = {"request": 0, "reply": 0}
            self._cut = (direction, after)

    @property
    def has_cut(self) -> bool:
        """Whether what `cut` asked for has been done."""
        return self._cut is None

    def heal(self) -> None:
        """Pass on everything, from now on."""
        with self._lock:
            self._cut = None
        self.delay, self.fragments, self.silent = 0.0, False, False

    def close(self) -> None:
        """Close everything and wait for the threads."""
        self._over = True
        with suppress(OSError):
            # Wakes the listener, which `close` would not.
            socket.create_connection((HOST, self.port), timeout=1).close()
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while not self._over:
            client, _ = self._listener.accept()
            self.connections += 1
            try:
                server = socket.create_connection(self.server, timeout=5)
            except OSError:
                reset(client)
                continue
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=self._join, args=(client, server), name="proxy")
            self._threads.append(thread)
            thread.start()

    def _join(self, client: socket.socket, server: socket.socket) -> None:
        """Pass on what comes from either end until one closes, or the connection is cut."""
        ways: dict[socket.socket, tuple[Direction, socket.socket]] = {
            client: ("request", server),
            server: ("reply", client),
        }
        try:
            while not self._over:
                for source in select.select(ways, [], [], 0.05)[0]:
                    direction, target = ways[source]
                    if not (data := source.recv(CHUNK)):
                        return
                    self._pass(direction, data, target)
        except CutError:
            reset(client)
            reset(server)
        except OSError:
            pass
        finally:
            client.close()
            server.close()

    def _pass(self, direction: Direction, data: bytes, target: socket.socket) -> None:
        if direction == "request":
            self.arrivals.append(time.monotonic())
        allowed = self._allowed(direction, len(data))
        if self.silent:
            return
        if self.delay:
            time.sleep(self.delay)
        size = 1 if self.fragments else CHUNK
        for start in range(0, min(allowed, len(data)), size):
            target.sendall(data[start : min(start + size, allowed)])
        if allowed <= len(data):
            raise CutError

    def _allowed(self, direction: Direction, size: int) -> int:
        """Return how many bytes may pass: more than there are, unless it is to be cut then."""
        with self._lock:
            before = self.passed[direction]
            self.passed[direction] += size
            if self._cut is None or self._cut[0] != direction:
                return size + 1
            allowed = self._cut[1] - before
            if allowed > size:
                return size + 1
            self._cut = None
            return allowed


def reset(end: socket.socket) -> None:
    """Close a connection with RST."""
    with suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    end.close()


@contextmanager
def running_proxy(server: tuple[str, int]) -> Iterator[TCPProxy]:
    """Run a proxy in front of a server; see `TCPProxy`."""
    proxy = TCPProxy(server)
    try:
        yield proxy
    finally:
        proxy.close()
