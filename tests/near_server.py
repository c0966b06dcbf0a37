"""A server for near caches that runs, answers and tells when a test says so, and callers for it.

It tells of writes on the connection that asked for it, and keeps values as plain bytes. What it
is asked while it holds is kept until the test has it run and answered, each by itself.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from near_links import until
from redis_servers import HOST
from scripted_redis import GREETINGS, HELLO, ScriptedRedis
from symphra_cache._redis_replies import NOTHING, PythonReader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    from symphra_cache import CacheManager

WRITES = {"SET", "UNLINK", "GETDEL"}
OK = b"+OK\r\n"


def bulk(text: bytes | None) -> bytes:
    return b"_\r\n" if text is None else b"$%d\r\n%b\r\n" % (len(text), text)


def array(*parts: bytes) -> bytes:
    return b"*%d\r\n%b" % (len(parts), b"".join(parts))


class Held:
    """What a client has asked in one packet and was not answered yet."""

    def __init__(
        self, server: NearServer, client: socket.socket, commands: list[list[bytes]]
    ) -> None:
        self.commands = commands
        self._server = server
        self._client = client
        self._reply: bytes | None = None

    def run(self) -> None:
        """Have the server do it now; the reply is what it is now, whenever it is sent."""
        self._reply = b"".join(map(self._server.reply, self.commands))

    def answer(self, reply: bytes | None = None) -> None:
        """Send the reply."""
        if reply is not None:
            reply *= len(self.commands)
        elif self._reply is None:
            self.run()
        with suppress(OSError):
            self._client.sendall(reply or self._reply or b"")


class NearServer(ScriptedRedis):
    """The server; for one test at a time.

    Attributes:
        values: what it keeps.
        reads: the names that it was asked for, for each time.
        holds: whether what comes now is held.
        held: what was held.
        is_mute: whether the link gets no answer, and hears nothing.
        role: what it says of itself.
        links: how many connections it was asked to tell on.
    """

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.reads: list[bytes] = []
        self.holds = False
        self.held: list[Held] = []
        self.is_mute = False
        self.role = b"master"
        self.links = 0
        self._link: socket.socket | None = None
        super().__init__()

    def command(self, *words: Any) -> None:
        """Write like another client, and tell at once."""
        name = words[1]
        if words[0] == "SET":
            self.values[name] = words[2]
        else:
            self.values.pop(name, None)
        self.tell(name)

    def tell(self, *names: bytes) -> None:
        """Say that names were written; none: all."""
        told = array(*map(bulk, names)) if names else b"_\r\n"
        if self._link is not None and not self.is_mute:
            with suppress(OSError):
                self._link.sendall(b">2\r\n+invalidate\r\n" + told)

    def cut(self) -> None:
        """End the connection on which it tells."""
        assert self._link is not None
        self._link.shutdown(socket.SHUT_RDWR)

    def next_held(self) -> Held:
        """Wait for what was asked while the server holds."""
        until(lambda: self.held)
        return self.held.pop(0)

    def reply(self, words: list[bytes]) -> bytes:
        """Do what was asked."""
        name = words[0].upper()
        if name == b"GET":
            return bulk(self.values.get(words[1]))
        if name == b"PTTL":
            return b":-1\r\n" if words[1] in self.values else b":-2\r\n"
        if name == b"SET":
            self.values[words[1]] = words[2]
            return OK
        return b"-ERR the test must say what to answer\r\n"

    def _serve(self, client: socket.socket, *_: Any) -> None:
        reader = PythonReader(ValueError)
        with client, suppress(OSError, ValueError):
            while received := client.recv(65_536):
                reader.feed(received)
                commands = []
                while (words := reader.gets()) is not NOTHING:
                    commands.append(words)
                self._take(client, commands)

    def _take(self, client: socket.socket, commands: list[list[bytes]]) -> None:
        """Answer what came in one packet, or hold it."""
        self.reads += [words[1] for words in commands if words[0].upper() == b"GET"]
        greeted = [self._greeting(client, words) for words in commands]
        if self.holds and None in greeted:
            self.held.append(Held(self, client, commands))
            return
        replies = [
            self.reply(words) if reply is None else reply
            for words, reply in zip(commands, greeted, strict=True)
        ]
        client.sendall(b"".join(replies))

    def _greeting(self, client: socket.socket, words: list[bytes]) -> bytes | None:
        """Return the answer to what is about the connection; ``None`` to all else."""
        name = words[0].decode().upper()
        if name in ("HELLO", "PING") and self.is_mute and client is self._link:
            return b""
        if words[:2] == [b"CLIENT", b"TRACKING"]:
            self._link, self.links = client, self.links + 1
        greetings = dict.fromkeys(GREETINGS, OK) | {
            "HELLO": HELLO.replace(b"master", self.role),
            "PING": b"+PONG\r\n",
        }
        return greetings.get(name)


@contextmanager
def near_server() -> Iterator[NearServer]:
    """Run a server of one's own."""
    server = NearServer()
    try:
        yield server
    finally:
        server.close()


class Callers:
    """Some who call a cache at the same time through one face, each on a connection of its own.

    Args:
        face: ``"blocking"``: threads; ``"asyncio"``: loops, each in a thread.
        count: how many.
    """

    def __init__(self, face: str, count: int = 3) -> None:
        self.is_asyncio = face == "asyncio"
        self._threads = ThreadPoolExecutor(count)
        self._loops = [asyncio.new_event_loop() for _ in range(count)] if self.is_asyncio else []
        for loop in self._loops:
            threading.Thread(target=loop.run_forever, daemon=True).start()

    def start(self, cache: CacheManager, who: int, name: str, *arguments: Any) -> Future[Any]:
        """Begin a call, by the name of the blocking face."""
        if not self.is_asyncio:
            return self._threads.submit(getattr(cache, name), *arguments)
        call = getattr(cache, f"a{name}")(*arguments)
        return asyncio.run_coroutine_threadsafe(call, self._loops[who])

    def __call__(self, cache: CacheManager, name: str, *arguments: Any) -> Any:
        return self.start(cache, -1, name, *arguments).result(20)

    def close(self) -> None:
        self._threads.shutdown()
        for loop in self._loops:
            asyncio.run_coroutine_threadsafe(loop.shutdown_asyncgens(), loop).result(20)
            loop.call_soon_threadsafe(loop.stop)
            until(lambda loop=loop: not loop.is_running())  # type: ignore[misc]
            loop.close()


__all__ = ["HOST", "OK", "Callers", "Held", "NearServer", "array", "bulk", "near_server"]
