"""What the page on Redis says of outages and of first errors, against real servers."""

from __future__ import annotations

import re
import socket
import socketserver
import threading
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
import redis

from redis_cluster import shared_cluster
from redis_page import APP, quoted, rows, rule
from redis_sentinel import NAME, SentinelServer, shared_sentinels
from redis_servers import (
    HOST,
    USER,
    RedisServer,
    free_ports,
    patient,
    running_server,
    shared_server,
    until,
)
from symphra_cache import BackendUnavailableError, CacheManager, ConfigurationError
from symphra_cache.backends import CircuitBreaker, RedisBackend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faces import Caller

# --- outages --------------------------------------------------------------------------


class FakeServer(socketserver.ThreadingTCPServer):
    """A server that greets, then gives one answer to all commands.

    Args:
        answer: in the protocol; empty to close the connection instead, ``None`` for silence.
    """

    daemon_threads = True

    def __init__(self, answer: bytes | None) -> None:
        super().__init__((HOST, 0), _Talk)
        self.answer = answer
        self.received = 0

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.server_address[1]}"


class _Talk(socketserver.StreamRequestHandler):
    server: FakeServer

    def handle(self) -> None:
        while (name := self._command()) is not None:
            if name in (b"HELLO", b"CLIENT"):
                self.wfile.write(b"%1\r\n$5\r\nproto\r\n:3\r\n" if name == b"HELLO" else b"+OK\r\n")
                continue
            self.server.received += 1
            if self.server.answer == b"":
                return
            self.wfile.write(self.server.answer or b"")

    def _command(self) -> bytes | None:
        """Read a command and return its name, ``None`` at the end."""
        with suppress(ConnectionError):
            if line := self.rfile.readline():
                words = [self.rfile.read(self._length() + 2) for _ in range(int(line[1:]))]
                return words[0].strip()
        return None

    def _length(self) -> int:
        return int(self.rfile.readline()[1:])


@contextmanager
def fake(answer: bytes | None) -> Iterator[FakeServer]:
    with FakeServer(answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


ANSWERS: dict[str, bytes | None] = {
    "connection lost after sending": b"",
    "no answer within `socket_timeout`": None,
}
NO_FAILURES = ("all connections in use", "the circuit is open")


@contextmanager
def failing(what: str) -> Iterator[tuple[dict[str, Any], FakeServer | None]]:
    """Provide what a row of the table describes: options of a backend, and the server if fake."""
    if what in ANSWERS or what.isupper():
        told = "1 127.0.0.1:1" if what in ("MOVED", "ASK") else "as in the table"
        with fake(ANSWERS.get(what, f"-{what} {told}\r\n".encode())) as server:
            yield {"url": server.url, "socket_timeout": 0.2 if what in ANSWERS else 30.0}, server
    elif "socket_connect_timeout" in what:
        with socket.create_server((HOST, 0)) as listening:
            port = listening.getsockname()[1]
            yield {"host": HOST, "port": port, "socket_connect_timeout": 0.1}, None
    elif "certificate" in what:
        real = shared_server()
        yield {"url": patient(real.tls_url), "ssl_ca_certs": real.other_ca}, None
    else:
        assert "refused" in what
        yield {"host": HOST, "port": free_ports(1)[0]}, None


def failures() -> Iterator[tuple[str, str, str]]:
    """Yield what fails, whether it may be applied and whether it counts, as the page has it."""
    for what, applied, counts, _ in rows("what happens"):
        if what not in NO_FAILURES:
            codes = quoted(what) if what.startswith("`") else [what]
            yield from ((code, applied, counts) for code in codes)


def outage(call: Caller, cache: CacheManager, *arguments: Any) -> str:
    with pytest.raises(BackendUnavailableError) as caught:
        call(cache, *arguments)
    return str(caught.value)


@pytest.mark.parametrize(("what", "applied", "counts"), list(failures()))
def test_what_counts_for_the_circuit_breaker(
    call: Caller, what: str, applied: str, counts: str
) -> None:
    with failing(what) as (options, server):
        backend = RedisBackend(**options, breaker=CircuitBreaker(failures=1, reset_after=600))
        with CacheManager(backend) as cache:
            outage(call, cache, "set", "k", "v")
            if server is not None:
                assert server.received == 1  # nothing is sent twice
            # What the server has refused, or never got, is not applied.
            assert applied == ("perhaps" if what in ANSWERS else "no")
            # The circuit opens for one failure.
            assert ("circuit open" in outage(call, cache, "get", "k")) == (counts == "yes")


# --- first errors ---------------------------------------------------------------------


class Odd:
    """Provokes the errors of the last table: a method for each, by the first words there."""

    def __init__(self, call: Caller, server: RedisServer) -> None:
        self.call = call
        self.server = server

    def told(self, *arguments: Any, before: str = "get", **options: Any) -> str:
        """Return the error of a first operation."""
        with CacheManager(RedisBackend(*arguments, **options)) as cache:
            arguments = {"set": ("k", ["v"]), "touch": ("k",)}.get(before, ("k",))
            return outage(self.call, cache, before, *arguments)

    def connecting_to(self) -> str:
        return self.told(host=HOST, port=free_ports(1)[0])

    def hello_must_be_called(self) -> str:
        with self._configured("requirepass", "secret", ""):
            return self.told(self.server.url)

    def invalid_username_password_pair(self) -> str:
        return self.told(self.server.url, username=USER, password="wrong")

    def no_permissions(self) -> str:
        self.server.command("ACL", "SETUSER", APP, "reset", *rule(APP), "-get")
        return self.told(self.server.url, username=APP, password="secret")

    def can_t_run_this_command(self) -> str:
        self.server.command("ACL", "SETUSER", APP, "reset", *rule(APP), "-type")
        return self.told(self.server.url, before="touch", username=APP, password="secret")

    def certificate_verify_failed(self) -> str:
        return self.told(self.server.tls_url, ssl_ca_certs=self.server.other_ca)

    def moved(self) -> str:
        cluster = shared_cluster().fresh()
        stranger = next(
            node for node in cluster.primaries if node is not cluster.primary_of("symphra:k")
        )
        return self.told(stranger.url)

    def cluster_support_disabled(self) -> str:
        return self.told(f"redis+cluster://{HOST}:{self.server.port}")

    def unknown_command(self) -> str:
        return self.told(shared_sentinels().fresh().sentinels[0].url)

    def no_sentinel_knows(self) -> str:
        return self.told(shared_sentinels().fresh().url.replace(NAME, "other"))

    def no_sentinel_names(self) -> str:
        return self.told(f"redis+sentinel://{HOST}:{free_ports(1)[0]}/{NAME}")

    def is_a_replica_still(self) -> str:
        replica = shared_sentinels().fresh().replica_server
        with closing(SentinelServer(replica.port)) as wrong:
            return self.told(f"redis+sentinel://{HOST}:{wrong.port}/{NAME}")

    def command_not_allowed_when_used_memory(self) -> str:
        with self._configured("maxmemory", 1, 0):
            return self.told(self.server.url, before="set")

    def misconf(self) -> str:
        # The file can't be put in the place of a folder.
        (self.server.folder / "dump.rdb").mkdir(exist_ok=True)
        with self._configured("save", "3600 1", ""):
            self.server.command("BGSAVE")
            until(self._has_failed_to_save, 20, self.server.log)
            return self.told(self.server.url, before="set")

    def circuit_open(self) -> str:
        backend = RedisBackend(host=HOST, port=free_ports(1)[0], breaker=CircuitBreaker(1, 600))
        with CacheManager(backend) as cache:
            outage(self.call, cache, "get", "k")
            return outage(self.call, cache, "get", "k")

    def decode_responses_true(self) -> str:
        with pytest.raises(ConfigurationError) as caught:
            RedisBackend(client=redis.Redis(decode_responses=True))
        return str(caught.value)

    def _has_failed_to_save(self) -> bool:
        told = self.server.command("INFO", "persistence")
        return bool(told["rdb_last_bgsave_status"] == "err")

    @contextmanager
    def _configured(self, name: str, value: object, usual: object) -> Iterator[None]:
        self.server.command("CONFIG", "SET", name, value)
        try:
            yield
        finally:
            self.server.command("CONFIG", "SET", name, usual)


@pytest.fixture(scope="module")
def server_of_its_own() -> Iterator[RedisServer]:
    with running_server() as server:
        yield server


@pytest.mark.parametrize("said", [row[0] for row in rows("message")])
def test_the_first_errors_say_what_the_page_says(
    said: str, call: Caller, server_of_its_own: RedisServer
) -> None:
    alternatives = [words.lower() for words in quoted(said)]
    name = re.sub("[^a-z]+", "_", alternatives[0]).strip("_")
    told = getattr(Odd(call, server_of_its_own), name)().lower()
    assert any(words in told for words in alternatives), told
