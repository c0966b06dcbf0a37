"""A server that speaks Redis's protocol, keeps nothing, and misbehaves as a test tells it.

It greets clients as a real one does and writes down every command that reaches it, so that a test
can tell what was sent, and how often.
"""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from redis_servers import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator

# What a client sends before it is asked anything.
GREETINGS = {"HELLO", "AUTH", "CLIENT", "SELECT"}
HELLO = (
    b"%7\r\n+server\r\n+redis\r\n+version\r\n+7.0.15\r\n+proto\r\n:3\r\n+id\r\n:1\r\n"
    b"+mode\r\n+standalone\r\n+role\r\n+master\r\n+modules\r\n*0\r\n"
)
SILENCE = b""
RESET = None


class ScriptedRedis:
    """The server; for one test at a time.

    Attributes:
        commands: names of the commands that it got, greetings left out.
    """

    def __init__(self) -> None:
        self._listener = socket.create_server((HOST, 0))
        self._clients: list[socket.socket] = []
        self._script: tuple[bytes | None, bool] = SILENCE, False
        self.commands: list[str] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        port: int = self._listener.getsockname()[1]
        return f"redis://{HOST}:{port}"

    def misbehave(self, answer: bytes | None, ends: bool = False) -> None:
        """Answer like this on connections made from now on, and forget what was sent on others.

        Args:
            answer: to every command but greetings: bytes, `SILENCE`, or `RESET` for a reset of
                the connection.
            ends: whether the connection is closed after the answer.
        """
        self._script = answer, ends
        self.commands = []

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)
        for client in self._clients:
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._clients.append(client)
                arguments = client, *self._script, self.commands
                threading.Thread(target=self._serve, args=arguments, daemon=True).start()

    def _serve(
        self, client: socket.socket, answer: bytes | None, ends: bool, commands: list[str]
    ) -> None:
        with client, client.makefile("rb") as stream, suppress(OSError, ValueError):
            while words := self._read(stream):
                name = words[0].decode().upper()
                if name in GREETINGS:
                    client.sendall(HELLO if name == "HELLO" else b"+OK\r\n")
                    continue
                commands.append(name)
                if answer is RESET:
                    # Without a word: what is sent last is a reset, no end.
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return
                client.sendall(answer)
                if ends:
                    return

    @staticmethod
    def _read(stream: object) -> list[bytes]:
        """Return the words of the next command; none at the end."""
        readline, read = stream.readline, stream.read  # type: ignore[attr-defined]
        header = readline()
        if not header.startswith(b"*"):
            return []
        words = []
        for _ in range(int(header[1:])):
            size = int(readline()[1:])
            words.append(read(size + 2)[:-2])
        return words


@contextmanager
def scripted_redis() -> Iterator[ScriptedRedis]:
    """Run a server of one's own."""
    server = ScriptedRedis()
    try:
        yield server
    finally:
        server.close()
