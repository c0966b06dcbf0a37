"""Real Redis servers on loopback, for as long as a run lasts; addresses are ``host:port``.

They keep nothing on disk, and end with the process that started them, whatever happens:
``tests/redis_guard.py`` stands between the two.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from random import SystemRandom
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from harness.seats import HOME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GUARD = HOME.parent / "tests" / "redis_guard.py"
HOST = "127.0.0.1"
# Below those that systems give to outgoing connections.
PORTS = range(10_000, 20_000)
BUS = 10_000  # so far above its port a node of a cluster listens for the others
SLOTS = 16_384
ATTEMPTS = 10
SECONDS_TO_START = 30

OPTIONS: dict[str, object] = {
    "bind": HOST,
    "save": '""',
    "appendonly": "no",
    "databases": 1_024,  # one for each contestant of each work
}
NODE: dict[str, object] = {"cluster-enabled": "yes", "databases": 1}


@cache
def executable() -> str:
    """Return the server's program: ``REDIS_SERVER``, else the one on ``PATH``."""
    chosen = os.environ.get("REDIS_SERVER")
    names = [chosen] if chosen else ["redis-server", "valkey-server"]
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        raise SystemExit(
            "This family needs a Redis server: put redis-server (or valkey-server) on PATH, or "
            "its path into REDIS_SERVER; scripts/bench installs one."
        )
    return found


def version() -> str:
    """Return the version of the server's program."""
    told = subprocess.run([executable(), "--version"], capture_output=True, text=True, check=True)
    found = re.search(r"(\w+) server v=([\d.]+)", told.stdout)
    if found is None:
        return "unknown"
    return found[2] if found[1] == "Redis" else f"{found[2]} ({found[1]})"


def connected(address: str, database: int = 0) -> Any:
    """Return a client of a server; for what is not measured."""
    from redis import Redis

    host, _, port = address.partition(":")
    return Redis(host=host, port=int(port), db=database, retry=None)


@contextmanager
def running_server(**options: object) -> Iterator[str]:
    """Run a server; yield its address."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="symphra-cache-bench-")))
        for _ in range(ATTEMPTS):
            port = free_port()
            guard = _started(folder, port, options)
            address = f"{HOST}:{port}"
            if _answers(guard, address, folder):
                stack.callback(_ended, guard)
                yield address
                return
            _ended(guard)
        raise SystemExit(f"{executable()} does not start; it says why:\n{_log(folder)}")


@contextmanager
def running_cluster(count: int = 3) -> Iterator[list[str]]:
    """Run a cluster of so many primaries without replicas; yield the addresses of all."""
    with ExitStack() as stack:
        nodes = [stack.enter_context(running_server(**NODE)) for _ in range(count)]
        clients = [connected(node) for node in nodes]
        for number, client in enumerate(clients):
            # Different ones, else the nodes would have to sort that out among themselves.
            client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
            share = range(number * SLOTS // count, (number + 1) * SLOTS // count)
            client.execute_command("CLUSTER ADDSLOTS", *share)
        _until(lambda: _formed(clients, nodes), "the nodes form no cluster")
        for client in clients:
            client.close()
        yield nodes


def _formed(clients: list[Any], nodes: list[str]) -> bool:
    """Introduce the nodes to each other; tell whether all of them serve all slots."""
    from redis import RedisError

    told = []
    for client in clients:
        with suppress(RedisError):
            told.append(client.execute_command("CLUSTER INFO"))
    if len(told) == len(nodes) and all(_is_whole(one, len(nodes)) for one in told):
        return True
    for node in nodes[1:]:
        clients[0].execute_command("CLUSTER MEET", *node.split(":"))
    return False


def _is_whole(told: Any, count: int) -> bool:
    # redis-py makes a dict of the reply.
    known, state = int(told["cluster_known_nodes"]), told["cluster_state"]
    return known == count and state == "ok" and int(told["cluster_size"]) == count


def free_port() -> int:
    """Return a port that was free just now, and its bus's too."""
    draw = SystemRandom()
    while True:
        port = draw.choice(PORTS)
        with suppress(OSError), ExitStack() as holders:
            for taken in (port, port + BUS):
                holders.enter_context(socket.create_server((HOST, taken)))
            return port


def _started(folder: Path, port: int, options: dict[str, object]) -> subprocess.Popen[bytes]:
    lines = OPTIONS | {"port": port, "dir": folder} | options
    configuration = folder / "redis.conf"
    configuration.write_text("".join(f"{name} {value}\n" for name, value in lines.items()))
    # Without TLS, so neither port nor certificate for it.
    command = [sys.executable, "-I", "-S", GUARD, os.getpid(), port, 0, "", "", "--"]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [*map(str, command), executable(), str(configuration)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _answers(guard: subprocess.Popen[bytes], address: str, folder: Path) -> bool:
    """Tell whether the server answers; nobody else's counts, who may have been faster."""
    from redis import RedisError

    with connected(address) as client:

        def told() -> bool:
            if guard.poll() is not None:
                return True
            with suppress(RedisError):
                return bool(client.config_get("dir"))
            return False

        _until(told, f"{executable()} does not answer")
        with suppress(RedisError):
            return client.config_get("dir").get("dir") in _spellings(folder)
    return False


def _spellings(folder: Path) -> tuple[object, ...]:
    found = str(folder), str(folder.resolve())
    return (*found, *(one.encode() for one in found))


def _ended(guard: subprocess.Popen[bytes]) -> None:
    """Have the guard end the server."""
    assert guard.stdin is not None
    guard.stdin.close()
    guard.wait(20)


def _log(folder: Path) -> str:
    return (folder / "log").read_text(errors="replace")[-2_000:]


def _until(condition: Callable[[], bool], failure: str) -> None:
    end = time.monotonic() + SECONDS_TO_START
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"{failure}, within {SECONDS_TO_START} s")
        time.sleep(0.02)
