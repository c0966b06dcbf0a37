"""Which servers a URL or arguments for Redis Sentinel or Redis Cluster name. Connects to nothing.

Messages count hosts instead of showing them: what looks like a host or a port may be a part of
a password that lacks its percent-encoding.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote

from symphra_cache.exceptions import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from symphra_cache._config_urls import Address

__all__ = [
    "SERVER_LISTS",
    "TOPOLOGY_SCHEMES",
    "Sentinels",
    "Topology",
    "check_topology_options",
    "given_topology",
    "topology_of",
]

TOPOLOGY_SCHEMES: tuple[str, ...] = (
    "redis+sentinel://",
    "rediss+sentinel://",
    "redis+cluster://",
    "rediss+cluster://",
)
"""How URLs begin that name several servers; with ``rediss`` these are reached by TLS."""

SERVER_LISTS: dict[str, str] = {"sentinels": "sentinel", "startup_nodes": "cluster"}
"""The arguments that name several servers, and what these are."""

_PORTS = {"sentinel": 26379, "cluster": 6379}
_FORMS = {
    "sentinel": "redis+sentinel://[user:password@]host[:port],host[:port]/service[?db=0]",
    "cluster": "redis+cluster://[user:password@]host[:port],host[:port]",
}
_HOST = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^:\[\]\s%]+)(?::([0-9]{1,5}))?")
_ENTRY = "an address is 'host', 'host:port' or (host, port)"
# Printable ASCII without "/" and "@": with one of these, a password lacks its encoding.
_SERVICE = re.compile("[!-.0-?A-~]+")
_DATABASE = re.compile("/?[0-9]{0,7}")


class Topology(NamedTuple):
    """The servers that are asked for all others.

    Attributes:
        kind: ``"sentinel"`` or ``"cluster"``.
        hosts: name or address, and port, of the sentinels, or of some nodes of the cluster.
        service: what the sentinels call the master that is wanted, ``None`` for a cluster.
        tls: whether all of them are reached by TLS.
    """

    kind: str
    hosts: tuple[tuple[str, int], ...]
    service: str | None
    tls: bool

    @property
    def where(self) -> str:
        """Where the servers are, without any secret."""
        shown = [
            f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts
        ]
        service = "" if self.service is None else f"/{self.service}"
        return f"{self.kind} {','.join(shown)}{service}"


class Sentinels:
    """Which sentinel is asked first, and whether the master that they named is in doubt.

    Shared by the connections of both faces, by threads and loops, without a lock: an order is a
    tuple that is replaced, and each replacement has all sentinels.

    Attributes:
        service: what they call the master.
        order: their addresses, those that failed last at the end.
        generation: changes with every doubt.
        master: the one that was connected to last, ``None`` before the first.
    """

    def __init__(self, topology: Topology, options: Mapping[str, Any]) -> None:
        self.service: str = topology.service or ""
        self.order: tuple[tuple[str, int], ...] = topology.hosts
        self.generation: int = 0
        self.master: tuple[str, int] | None = None
        self._options = options

    def suspect(self) -> None:
        """Doubt that the master is the one that they named."""
        self.generation += 1

    def doubt(self, sentinel: tuple[str, int]) -> None:
        """Ask this one last from now on."""
        self.order = (*[other for other in self.order if other != sentinel], sentinel)

    def connection(self, sentinel: tuple[str, int], seconds: float) -> dict[str, Any]:
        """Return the options of a connection that asks one of them, within so many seconds."""
        host, port = sentinel
        timeouts = {"socket_timeout": seconds, "socket_connect_timeout": seconds}
        return {**self._options, **timeouts, "service": self.service, "host": host, "port": port}


def topology_of(address: Address) -> Topology | None:
    """Return the servers that a URL names; ``None`` if it is for a single one.

    Args:
        address: the URL in its parts; user and password may stand before the hosts.

    Raises:
        ConfigurationError: it lacks the service or a host, names a host twice or a database
            that can't be, or can't be read.
    """
    if f"{address.scheme}://" not in TOPOLOGY_SCHEMES:
        return None
    transport, _, kind = address.scheme.partition("+")
    servers = address.host.rpartition("@")[2].split(",")
    hosts = [_host(kind, number, text) for number, text in enumerate(servers, 1)]
    _refuse_twins(hosts)
    return Topology(kind, tuple(hosts), _service(kind, address.path), transport == "rediss")


def given_topology(lists: Mapping[str, object], service: str | None) -> Topology | None:
    """Return the servers that arguments name; ``None`` if they name a single one.

    Args:
        lists: those of `SERVER_LISTS` that were given.
        service: the argument ``service_name``.

    Raises:
        ConfigurationError: two arguments contradict each other, one lacks the other, or an entry
            is no host and port or stands there twice.
    """
    if len(lists) > 1:
        raise ConfigurationError(
            "sentinels can't stand beside startup_nodes, which are those of a cluster; leave one "
            "of the two out"
        )
    if service is not None and "sentinels" not in lists:
        raise ConfigurationError(
            "service_name needs sentinels, the addresses of those who know the service"
        )
    for name, entries in lists.items():
        kind = SERVER_LISTS[name]
        hosts = _entries(kind, name, entries)
        if kind == "sentinel":
            _check_service(service)
        return Topology(kind, tuple(hosts), service, tls=False)
    return None


def check_topology_options(
    topology: Topology, options: Mapping[str, Any], given_as: str | None = None
) -> None:
    """Refuse options that have no meaning beside several servers.

    Args:
        topology: the servers.
        options: those of `ClientOptions`, from the query and the arguments.
        given_as: the argument that named the servers, ``None`` if it was a URL.

    Raises:
        ConfigurationError: there is one.
    """
    for name in ("host", "port", "unix_socket_path"):
        if name in options:
            beside = given_as or f"a {topology.kind} URL"
            verb = "name" if given_as else "names"
            raise ConfigurationError(
                f"{name} can't stand beside {beside}, which {verb} the servers; "
                "leave one of the two out"
            )
    if topology.kind == "cluster" and options.get("db", 0) != 0:
        raise _one_database()


def _host(kind: str, number: int, text: str) -> tuple[str, int]:
    if not text:
        raise ConfigurationError(f"url: host {number} is empty; its form is {_FORMS[kind]}")
    found = _HOST.fullmatch(text)
    if found is None:
        raise _unreadable(kind, f"host {number}")
    port = int(found[2] or _PORTS[kind])
    if not 1 <= port <= 65_535:
        raise ConfigurationError(f"url: port of host {number} must be from 1 to 65535")
    try:
        # Names are compared, and DNS makes no difference between cases.
        return unquote(found[1].strip("[]"), errors="strict").lower(), port
    except UnicodeDecodeError:
        raise _unreadable(kind, f"host {number}") from None


def _entries(kind: str, name: str, entries: object) -> list[tuple[str, int]]:
    if not isinstance(entries, list | tuple):
        raise ConfigurationError(
            f"{name} must be a list of addresses, got {type(entries).__name__}; {_ENTRY}"
        )
    if not entries:
        raise ConfigurationError(f"{name} must not be empty; name at least one server")
    hosts = [_entry(kind, name, number, entry) for number, entry in enumerate(entries, 1)]
    _refuse_twins(hosts, f"{name}: entry")
    return hosts


def _entry(kind: str, name: str, number: int, entry: object) -> tuple[str, int]:
    """Return host and port of one address that an argument holds."""
    match entry:
        case str():
            host, port = _HOST.fullmatch(entry), None
        case (str() as text, int() as port) if not isinstance(port, bool):
            host = _HOST.fullmatch(f"[{text}]" if ":" in text else text)
        case _:
            raise ConfigurationError(
                f"{name}: entry {number} must be an address, got {type(entry).__name__}; {_ENTRY}"
            )
    if host is None or (port is not None and host[2]):
        raise ConfigurationError(f"{name}: entry {number} can't be read; {_ENTRY}")
    number_of_port = port if port is not None else int(host[2] or _PORTS[kind])
    if not 1 <= number_of_port <= 65_535:
        raise ConfigurationError(f"{name}: port of entry {number} must be from 1 to 65535")
    return host[1].strip("[]").lower(), number_of_port


def _check_service(service: str | None) -> None:
    if service is None:
        raise ConfigurationError(
            "sentinels need service_name, the name by which they know the master"
        )
    if not _SERVICE.fullmatch(service):
        raise ConfigurationError(
            "service_name must be of printable ASCII without '/', '@' and spaces"
        )


def _refuse_twins(hosts: list[tuple[str, int]], what: str = "url: host") -> None:
    first: dict[tuple[str, int], int] = {}
    for number, host in enumerate(hosts, 1):
        earlier = first.setdefault(host, number)
        if earlier != number:
            raise ConfigurationError(
                f"{what} {number} is {what.rpartition(' ')[2]} {earlier} once more; leave one of "
                "the two out"
            )


def _service(kind: str, path: str) -> str | None:
    if kind == "cluster":
        if not _DATABASE.fullmatch(path):
            raise _unreadable(kind, "what follows the hosts")
        if path.strip("/0"):
            raise _one_database()
        return None
    service = path.removeprefix("/")
    if not service:
        raise ConfigurationError(
            "url: the name of the service is missing, by which the sentinels know the master; "
            f"the form is {_FORMS[kind]}"
        )
    if not _SERVICE.fullmatch(service):
        raise _unreadable(kind, "the name of the service")
    return service


def _unreadable(kind: str, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"url: {what} can't be read; the form is {_FORMS[kind]}, with special characters in user "
        "and password percent-encoded"
    )


def _one_database() -> ConfigurationError:
    return ConfigurationError("db must be 0 in a cluster, which has no other; leave it out")
