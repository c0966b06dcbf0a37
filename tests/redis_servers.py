"""Real Redis servers for the tests: on free loopback ports, each in a folder of its own.

A server ends with the process that started it, whatever happens: `redis_guard.py` stands
between the two. `shared_server` is one for the whole session; tests that kill, pause or
reconfigure theirs start their own with `running_server`.
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import redis
import trustme

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOST = "127.0.0.1"
USER = "tester"
PASSWORD = "p@ss/w:rd%1"  # every character of it means something in a URL
SECONDS_TO_START = 20
ATTEMPTS = 10
# Below those that systems give to outgoing connections: a server that is started again finds its
# port free, and who knocks at a dead one's never reaches itself.
PORTS = range(10_000, 20_000)
BUS = 10_000  # so far above its port a node of a cluster listens for the others

# Replicas that are attached within a fraction of a second.
QUICK_REPLICATION: dict[str, object] = {
    "repl-diskless-sync": "yes",
    "repl-diskless-sync-delay": 0,
    "repl-ping-replica-period": 1,
}

_GUARD = Path(__file__).with_name("redis_guard.py")


class RedisServerError(Exception):
    """No server could be started."""


@functools.cache
def executable() -> str:
    """Return the server's program: ``REDIS_SERVER``, else the one on ``PATH``."""
    chosen = os.environ.get("REDIS_SERVER")
    names = [chosen] if chosen else ["redis-server", "valkey-server"]
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        raise RedisServerError(
            "these tests need a real Redis server: put redis-server (or valkey-server) on PATH "
            "or its path into REDIS_SERVER; ./scripts/test installs one. They are never skipped."
        )
    return found


@functools.cache
def speaks_tls() -> bool:
    """Tell whether the program was built with TLS; if not, the guard translates."""
    # It refuses the first option that it does not know.
    command = [executable(), "--port", "0", "--tls-port", "0", "--no-such-option", "1"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    return "no-such-option" in told.stdout + told.stderr


@functools.cache
def authority(name: str) -> trustme.CA:
    """Return a certificate authority of our own, the same for one name."""
    return trustme.CA(organization_name=name)


def free_ports(count: int) -> list[int]:
    """Return ports that were free just now, and their bus's too.

    Somebody may be faster: the caller tries again.
    """
    found: list[int] = []
    draw = SystemRandom()  # not the seeded one, with which two runs would draw the same
    with ExitStack() as holders:
        while len(found) < count:
            port = draw.choice(PORTS)
            try:
                for taken in (port, port + BUS):
                    holders.enter_context(socket.create_server((HOST, taken)))
            except OSError:
                continue
            found.append(port)
    return found


def until(condition: Callable[[], bool], seconds: float, told: Callable[[], str]) -> None:
    """Wait until a condition holds; fail with what is ``told`` after so many seconds.

    An error of a server means not yet: it is starting or loading.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(redis.RedisError):
            if condition():
                return
        time.sleep(0.05)
    raise RedisServerError(f"not within {seconds} s: {told()}")


def patient(url: str) -> str:
    """Return a URL with time-outs for a machine that is busy with other things, too."""
    return f"{url}{'&' if '?' in url else '?'}socket_timeout=30&socket_connect_timeout=30"


class RedisServer:
    """One server, which can be stopped, killed, paused and started again on its ports.

    Args:
        config: further lines of its configuration, ``_`` for ``-``: ``maxmemory="1mb"``.
    """

    arguments: tuple[str, ...] = ()  # of the program, after its configuration

    def __init__(self, **config: object) -> None:
        # Short, for the path of a socket has 104 characters at the most.
        self.folder = Path(tempfile.mkdtemp(prefix="redis-", dir="/tmp"))
        self.config = config
        self.port, self.tls_port = free_ports(2)
        self._owner = os.getpid()
        self._guard: subprocess.Popen[bytes] | None = None
        self.pid = 0
        self.paused = False
        self._write_certificates()
        self._direct = redis.Redis(unix_socket_path=str(self.socket), socket_timeout=10, retry=None)
        self._start_on_free_ports()

    @property
    def socket(self) -> Path:
        """Path of the unix socket."""
        return self.folder / "socket"

    @property
    def ca(self) -> str:
        """Path of the certificates that vouch for the server, as ``localhost``."""
        return str(self.folder / "ca.pem")

    @property
    def other_ca(self) -> str:
        """Path of certificates that don't."""
        return str(self.folder / "other.pem")

    @property
    def address(self) -> tuple[str, int]:
        return HOST, self.port

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}"

    @property
    def unix_url(self) -> str:
        return f"unix://{self.socket}"

    @property
    def tls_url(self) -> str:
        """Its certificate is for ``localhost``, not for the address; see `ca`."""
        return f"rediss://localhost:{self.tls_port}"

    @property
    def chosen_url(self) -> str:
        """The way to it that the run was told to take in ``SYMPHRA_REDIS_BY``."""
        ways = {"tcp": self.url, "tls": f"{self.tls_url}?ssl_ca_certs={quote(self.ca)}"}
        return patient(ways[os.environ.get("SYMPHRA_REDIS_BY", "tcp")])

    def start(self, **config: object) -> Self:
        """Start it again on its own ports, with its old configuration and this."""
        self.config |= config
        if not self._started():
            raise RedisServerError(f"the server did not start: {self.log()}")
        return self

    def stop(self) -> None:
        """End it in order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it without a chance to do anything."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Stop it from answering; its connections stay."""
        os.kill(self.pid, signal.SIGSTOP)
        self.paused = True

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)
        self.paused = False

    @property
    def running(self) -> bool:
        """Whether its process lives, paused or not."""
        return self._guard is not None and self._guard.poll() is None

    @property
    def answers(self) -> bool:
        """Whether it runs and is not paused."""
        return self.running and not self.paused

    @property
    def processes(self) -> list[int]:
        """The server's process and its guard's, while it runs."""
        return [self.pid, self._guard.pid] if self._guard is not None else []

    def close(self) -> None:
        """End it and remove its folder."""
        if os.getpid() == self._owner:
            self.kill()
            self._direct.close()
            atexit.unregister(self.close)
            shutil.rmtree(self.folder, ignore_errors=True)

    def fresh(self) -> Self:
        """Empty it, for the next test."""
        self._direct.execute_command("FLUSHALL")
        return self

    def command(self, *words: Any) -> Any:
        """Run a command past the cache, through the unix socket."""
        return self._direct.execute_command(*words)

    def calls(self, name: str) -> int:
        """Return how often clients and scripts have called a command."""
        statistics: dict[str, dict[str, int]] = self._direct.info("commandstats")
        return statistics.get(f"cmdstat_{name.lower()}", {}).get("calls", 0)

    def connections(self) -> int:
        """Return how many clients are connected, this one left out."""
        return len(self._direct.client_list()) - 1

    def log(self) -> str:
        """Return the end of what it wrote to its log."""
        path = self.folder / "log"
        return path.read_text(errors="replace")[-2000:] if path.exists() else "no log"

    def _start_on_free_ports(self) -> None:
        atexit.register(self.close)
        for _ in range(ATTEMPTS):
            if self._started():
                return
            if "in use" not in self.log().lower():
                break
            self.port, self.tls_port = free_ports(2)
        raise RedisServerError(f"{executable()} does not start: {self.log()}")

    def _started(self) -> bool:
        (self.folder / "log").unlink(missing_ok=True)
        self._write_configuration()
        translated = 0 if speaks_tls() else self.tls_port
        command: list[object] = [sys.executable, "-I", "-S", _GUARD, os.getpid()]
        command += [self.port, translated, self.folder / "server.pem", self.folder / "server.key"]
        command += ["--", executable(), self.folder / "redis.conf", *self.arguments]
        with (self.folder / "log").open("ab") as log:
            self._guard = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self._answers()

    def _answers(self) -> bool:
        assert self._guard is not None
        end = time.monotonic() + SECONDS_TO_START
        while time.monotonic() < end and self._guard.poll() is None:
            if pid := self._told_pid():
                self.pid = pid
                return True
            time.sleep(0.005)
        self._dismiss()
        return False

    def _told_pid(self) -> int | None:
        """Return the server's process once it answers, be it that it wants a password."""
        try:
            with socket.socket(socket.AF_UNIX) as direct:
                direct.settimeout(5)
                # Nobody else listens there.
                direct.connect(str(self.socket))
                direct.sendall(b"PING\r\n")
                if direct.recv(100):
                    return int((self.folder / "pid").read_text())
        except (OSError, ValueError):
            pass
        return None

    def _end(self, how: signal.Signals) -> None:
        guard = self._guard
        if guard is None:
            return
        if guard.poll() is None and self.pid:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGCONT)
                os.kill(self.pid, how)
            guard.wait(20)
        self.paused = False
        self._dismiss()

    def _dismiss(self) -> None:
        """Have the guard end what is left."""
        guard, self._guard = self._guard, None
        if guard is not None:
            assert guard.stdin is not None
            guard.stdin.close()
            guard.wait(20)

    def _write_configuration(self) -> None:
        (self.folder / "redis.conf").write_text(self._configuration())

    def _configuration(self) -> str:
        lines: dict[str, object] = {
            "bind": HOST,
            "port": self.port,
            "unixsocket": self.socket,
            "unixsocketperm": 700,
            "dir": self.folder,
            "daemonize": "no",
            "pidfile": self.folder / "pid",
            "save": '""',
            "appendonly": "no",
            "user": f"{USER} on >{PASSWORD} ~* &* +@all",
        }
        if speaks_tls():
            lines |= {
                "tls-port": self.tls_port,
                "tls-cert-file": self.folder / "server.pem",
                "tls-key-file": self.folder / "server.key",
                "tls-ca-cert-file": self.ca,
                "tls-auth-clients": "no",
            }
        lines |= {name.replace("_", "-"): value for name, value in self.config.items()}
        return "".join(f"{name} {value}\n" for name, value in lines.items())

    def _write_certificates(self) -> None:
        certificate = authority("server").issue_cert("localhost")
        certificate.private_key_pem.write_to_path(self.folder / "server.key")
        for blob in certificate.cert_chain_pems:
            blob.write_to_path(self.folder / "server.pem", append=True)
        authority("server").cert_pem.write_to_path(self.folder / "ca.pem")
        authority("other").cert_pem.write_to_path(self.folder / "other.pem")


@contextmanager
def running_server(**config: object) -> Iterator[RedisServer]:
    """Run a server of one's own; see `RedisServer`."""
    server = RedisServer(**config)
    try:
        yield server
    finally:
        server.close()


@functools.cache
def shared_server() -> RedisServer:
    """Return the session's server. Call its `fresh` first; leave it running and as it was."""
    return RedisServer()
