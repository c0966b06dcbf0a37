"""A server on the test's own loop that answers when it is told to, and notes what came together.

It speaks Redis's protocol and greets clients as a real one does. All else is up to the test.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import hiredis

from redis_servers import HOST
from scripted_redis import GREETINGS, HELLO

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    Command = list[bytes]


class Client(asyncio.Protocol):
    """One connection.

    Attributes:
        packets: the commands that came together, greetings left out.
        is_open: whether it still is.
    """

    def __init__(self, server: LineServer) -> None:
        self.server = server
        self.packets: list[list[Command]] = []
        self.is_open = True
        self.transport: asyncio.Transport
        self._reader = hiredis.Reader(notEnoughData=None)

    @property
    def commands(self) -> list[Command]:
        return [command for packet in self.packets for command in packet]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.server.clients.append(self)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        packet: list[Command] = []
        while (command := self._reader.gets()) is not None:
            assert isinstance(command, list)
            name = command[0].decode()
            if name in GREETINGS:
                self.say(HELLO if name == "HELLO" else b"+OK\r\n")
                continue
            packet.append(command)
            if (reply := self.server.answer(command)) is not None:
                self.say(reply)
        if packet:
            self.packets.append(packet)

    def say(self, reply: bytes) -> None:
        self.transport.write(reply)

    def connection_lost(self, _: Exception | None) -> None:
        self.is_open = False


class LineServer:
    """The server.

    Attributes:
        clients: all connections that there were.
        answer: gives the reply to a command; ``None`` for none yet.
        refuse: has new connections refused; those that are open stay.
    """

    def __init__(self) -> None:
        self.clients: list[Client] = []
        self.answer: Callable[[Command], bytes | None] = lambda _: None
        self.url = ""
        self.refuse: Callable[[], None] = lambda: None

    @property
    def commands(self) -> list[Command]:
        return [command for client in self.clients for command in client.commands]

    async def until(self, count: int) -> None:
        """Wait until so many commands have come."""
        async with asyncio.timeout(10):
            while len(self.commands) < count:  # noqa: ASYNC110 - told by nobody
                await asyncio.sleep(0.001)


@asynccontextmanager
async def line_server() -> AsyncIterator[LineServer]:
    """Run a server of one's own."""
    server = LineServer()
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(lambda: Client(server), HOST, 0)
    server.refuse = listener.close
    server.url = f"redis://{HOST}:{listener.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listener.close()
        for client in server.clients:
            client.transport.abort()


def bulk(text: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(text), text)
