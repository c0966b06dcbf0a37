"""That connecting to a Redis server takes one time-out at the most, whatever the server does."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
import redis

from redis_servers import HOST, authority, running_server
from symphra_cache import BackendUnavailableError, CacheManager
from symphra_cache.backends import RedisBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from faces import Caller

SECONDS = 0.5
PATIENCE = 6 * SECONDS  # for a machine that is busy; what is wrong takes all the answers there are
GREETING = b"%4\r\n$6\r\nserver\r\n$5\r\nredis\r\n$5\r\nproto\r\n:3\r\n$4\r\nmode\r\n$1\r\ns\r\n"
GREETING += b"$4\r\nrole\r\n$6\r\nmaster\r\n"


def commands(stream: Any) -> Iterator[bytes]:
    """Yield the name of each command that arrives."""
    while line := stream.readline():
        words = []
        for _ in range(int(line[1:])):
            length = int(stream.readline()[1:])
            words.append(stream.read(length + 2)[:-2])
        yield words[0].upper()


class FakeServer:
    """A server that greets as it is told.

    Args:
        sock: where it listens.
        answer: sends the answer to a command.
        tls: wraps what it accepts.
    """

    def __init__(
        self,
        sock: socket.socket,
        answer: Callable[[socket.socket, bytes], None],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._listening = sock
        self.port: int = sock.getsockname()[1] if sock.family != socket.AF_UNIX else 0
        self._answer = answer
        self._tls = tls
        self.received: list[bytes] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                accepted, _ = self._listening.accept()
                threading.Thread(target=self._talk, args=(accepted,), daemon=True).start()

    def _talk(self, sock: socket.socket) -> None:
        # What was accepted may be gone again.
        with suppress(OSError), sock:
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_side=True)
            with sock, sock.makefile("rb") as stream:
                for command in commands(stream):
                    self.received.append(command)
                    self._answer(sock, command)

    def close(self) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(5)


@contextmanager
def fake_server(
    answer: Callable[[socket.socket, bytes], None],
    *,
    path: Path | None = None,
    tls: ssl.SSLContext | None = None,
) -> Iterator[FakeServer]:
    if path is not None:
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(str(path))
        sock.listen()
    else:
        sock = socket.create_server((HOST, 0))
    server = FakeServer(sock, answer, tls)
    try:
        yield server
    finally:
        server.close()


def reply(command: bytes) -> bytes:
    return {b"HELLO": GREETING, b"GET": b"$1\r\n7\r\n"}.get(command, b"+OK\r\n")


def slowly(sock: socket.socket, command: bytes) -> None:
    """Answer each command of the greeting in time, but all of them too late."""
    time.sleep(0.4 * SECONDS)
    sock.sendall(reply(command))


def in_drops(sock: socket.socket, command: bytes) -> None:
    """Answer with one byte after the other, each of them in time."""
    for byte in reply(command):
        time.sleep(0.1 * SECONDS)
        sock.sendall(bytes((byte,)))


def late(sock: socket.socket, command: bytes) -> None:
    """Greet at once, then take longer for an answer than connecting may take."""
    if command == b"GET":
        time.sleep(2 * SECONDS)
    sock.sendall(reply(command))


def never(sock: socket.socket, command: bytes) -> None:
    """Say nothing."""


def outage(call: Caller, backend: RedisBackend) -> BackendUnavailableError:
    """Return the error of a call that must fail in time."""
    with CacheManager(backend) as cache:
        begun = time.monotonic()
        with pytest.raises(BackendUnavailableError) as caught:
            call(cache, "get", "k")
        took = time.monotonic() - begun
        assert 0.8 * SECONDS < took < PATIENCE
    assert isinstance(caught.value.__cause__, redis.TimeoutError)
    return caught.value


def patient_backend(port: int, **options: Any) -> RedisBackend:
    """Return one that waits long for an answer, and not for a connection."""
    return RedisBackend(
        host=HOST, port=port, db=1, socket_timeout=30, socket_connect_timeout=SECONDS, **options
    )


@pytest.mark.parametrize("answer", [slowly, in_drops, never])
def test_the_whole_greeting_takes_one_time_out(
    call: Caller, answer: Callable[[socket.socket, bytes], None]
) -> None:
    with fake_server(answer) as server:
        outage(call, patient_backend(server.port))
        assert set(server.received) <= {b"HELLO", b"CLIENT", b"SELECT"}


def test_the_whole_greeting_takes_one_time_out_by_a_unix_socket(
    call: Caller, tmp_path: Path
) -> None:
    path = tmp_path / "s"
    with fake_server(slowly, path=path):
        outage(
            call,
            RedisBackend(
                unix_socket_path=str(path), socket_timeout=30, socket_connect_timeout=SECONDS
            ),
        )


def context_of_localhost(folder: Path) -> tuple[ssl.SSLContext, str]:
    """Return what a server for ``localhost`` needs, and the path of what vouches for it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority("server").issue_cert("localhost").configure_cert(context)
    trusted = folder / "ca.pem"
    authority("server").cert_pem.write_to_path(str(trusted))
    return context, str(trusted)


def test_the_whole_greeting_takes_one_time_out_by_tls(call: Caller, tmp_path: Path) -> None:
    context, trusted = context_of_localhost(tmp_path)
    with fake_server(slowly, tls=context) as server:
        url = f"rediss://localhost:{server.port}"
        options: dict[str, Any] = {"ssl_ca_certs": trusted}
        outage(
            call,
            RedisBackend(url, **options, socket_timeout=30, socket_connect_timeout=SECONDS),
        )


def test_a_server_that_never_agrees_on_tls_takes_one_time_out(call: Caller) -> None:
    with socket.create_server((HOST, 0)) as silent:
        port = silent.getsockname()[1]
        outage(call, patient_backend(port, ssl=True))


def test_an_answer_may_take_longer_than_connecting(call: Caller) -> None:
    with fake_server(late) as server:
        backend = patient_backend(server.port)
        with CacheManager(backend) as cache:
            assert call(cache, "get", "k") == 7
            assert call(cache, "get", "k") == 7


def test_an_answer_of_the_greeting_takes_no_longer_than_any_other(call: Caller) -> None:
    with fake_server(never) as server:
        options = {"socket_timeout": SECONDS, "socket_connect_timeout": 30}
        outage(call, RedisBackend(host=HOST, port=server.port, **options))  # type: ignore[arg-type]


def test_a_server_is_greeted_once_by_each_way(call: Caller) -> None:
    with running_server() as server:
        for url in (server.url, server.unix_url):
            server.command("CONFIG", "RESETSTAT")
            with CacheManager(RedisBackend(url)) as cache:
                call(cache, "get", "k")
                assert server.calls("hello") == 1
