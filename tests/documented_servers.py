"""Real servers in the place of those that the documentation names."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from redis_cluster import shared_cluster
from redis_sentinel import shared_sentinels
from redis_servers import HOST, free_ports, patient, shared_server

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

USER, PASSWORD = "shop", "p@ss/word"  # of the access control list
PATIENT = "socket_timeout=30, socket_connect_timeout=30, "
_URL = re.compile(r'(?<=")(?:rediss?|unix|rediss?\+[a-z]+)://[^"]+')


@contextmanager
def documented_servers(needs: str | None, code: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Run what a block of code needs.

    Args:
        needs: ``"redis"`` for a server whose URL is in the environment, or which of the topologies
            it names by its addresses under ``.example``; ``None`` for nothing.
        code: the block.

    Yields:
        The code with the addresses of servers that run, and what to add to its environment.
    """
    if needs is None:
        yield code, {}
    elif needs == "redis":
        yield code, {"REDIS_URL": shared_server().fresh().url}
    else:
        fill = {"server": _at_one_server, "sentinels": _at_sentinels, "cluster": _at_a_cluster}
        with fill[needs](_URL.sub(lambda url: patient(url[0]), code)) as filled:
            assert ".example" not in filled
            yield filled, {}


@contextmanager
def _at_one_server(code: str) -> Iterator[str]:
    server = shared_server().fresh()
    (dead,) = free_ports(1)
    for named, real in {
        "cache.example:6379": f"{HOST}:{server.port}",
        "cache.example:6380": f"localhost:{server.tls_port}",
        "down.example:6379": f"{HOST}:{dead}",
        "cache.example": HOST,
        "port=6379": f"port={server.port}",
        "/run/redis/redis.sock": str(server.socket),
        "/etc/ssl/cache-ca.pem": server.ca,
    }.items():
        code = code.replace(named, real)
    server.command("ACL", "SETUSER", USER, "on", f">{PASSWORD}", "~*", "+@all")
    try:
        yield code
    finally:
        server.command("ACL", "DELUSER", USER)


@contextmanager
def _at_sentinels(code: str) -> Iterator[str]:
    sentinels = shared_sentinels().fresh()
    code = code.replace("service_name=", f"{PATIENT}service_name=")
    yield _with_addresses(code, "sentinel", 26379, sentinels.addresses)


@contextmanager
def _at_a_cluster(code: str) -> Iterator[str]:
    cluster = shared_cluster().fresh()
    code = code.replace("startup_nodes=", f"{PATIENT}startup_nodes=")
    yield _with_addresses(code, "node", 6379, cluster.addresses)


def _with_addresses(code: str, name: str, port: int, real: Sequence[tuple[str, int]]) -> str:
    """Replace numbered hosts, with or without their port, be it as text or as a number."""
    for number, (host, own) in enumerate(real, 1):
        named = f"{name}{number}.example"
        code = code.replace(f'"{named}", {port}', f'"{host}", {own}')
        code = re.sub(rf"{re.escape(named)}(:{port})?", f"{host}:{own}", code)
    return code
