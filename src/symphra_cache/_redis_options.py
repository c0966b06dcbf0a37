"""How clients of a Redis server are made: from a URL, from arguments, or both."""

from __future__ import annotations

import re
from urllib.parse import unquote

from symphra_cache._config_schema import shown, unknown
from symphra_cache._config_types import read_annotation
from symphra_cache._config_urls import read_url
from symphra_cache._redis_topology import (
    SERVER_LISTS,
    TOPOLOGY_SCHEMES,
    Sentinels,
    check_topology_options,
    given_topology,
    topology_of,
)
from symphra_cache.exceptions import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from symphra_cache._config_urls import Address
    from symphra_cache._redis_breaker import NodeBreaker
    from symphra_cache._redis_injected import ClusterSettings
    from symphra_cache._redis_line_pool import LinePool
    from symphra_cache._redis_pools import ThreadPool
    from symphra_cache._redis_topology import Topology

__all__ = ["ClientOptions"]

# Seconds. redis-py's own are 5, which is long for a cache.
_TIMEOUTS = {"socket_timeout": 1.0, "socket_connect_timeout": 1.0}
# Threads and tasks beyond these queue for a connection; they get no error.
_CONNECTIONS = 64
_LOOP_CONNECTIONS = 16

_OPTIONS = {
    name: read_annotation(kind)
    for kind, names in {
        "str": "host username password unix_socket_path ssl_ca_certs ssl_certfile ssl_keyfile "
        "client_name service_name sentinel_username sentinel_password",
        "int": "port db",
        "bool": "ssl ssl_check_hostname",
        "float": "socket_timeout socket_connect_timeout",
    }.items()
    for name in names.split()
}
_RANGES = {"port": (1, 65_535), "db": (0, 1_000_000)}
_SCHEMES = ("redis://", "rediss://", "unix://", *TOPOLOGY_SCHEMES)
_OF_SENTINELS = ("sentinel_username", "sentinel_password")
_MAY_BE_EMPTY = ("username", "password", *_OF_SENTINELS)
_SERVER = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^:\[\]]*)(?::(?P<port>[0-9]{1,5}))?")


class ClientOptions:
    """Everything that redis-py needs to know, for either face. Connects to nothing.

    Attributes:
        topology: the sentinels, or nodes of a cluster; ``None`` for a single server.
    """

    def __init__(self, url: str | None, arguments: Mapping[str, Any]) -> None:
        given = {name: value for name, value in arguments.items() if value is not None}
        lists = {name: given.pop(name) for name in SERVER_LISTS if name in given}
        for name, value in given.items():
            _check_type(name, value)
        from_url, topology = ({}, None) if url is None else _read(url)
        _refuse_contradictions("and beside it", from_url, given)
        self._options: dict[str, Any] = {**_TIMEOUTS, **given, **from_url}
        _check_values(self._options)
        service = self._options.pop("service_name", None)
        if url is not None:
            _refuse_beside_url(lists, service)
        topology = topology or given_topology(lists, service)
        _check_servers(topology, self._options, next(iter(lists), None))
        self.topology: Topology | None = topology and topology._replace(
            tls=self._options.get("ssl", False)
        )
        _check_transport(self._options)
        self._sentinels = self._asked_sentinels()
        # The context for TLS of all loops, once there is one.
        self._tls: list[Any] = []

    @classmethod
    def of_cluster(cls, settings: ClusterSettings) -> ClientOptions:
        """Return those of connections to the cluster of a client that the program made."""
        options = cls(
            None, {"startup_nodes": settings.addresses, "ssl": settings.options.get("ssl")}
        )
        options._options |= settings.options  # redis-py has accepted them already
        return options

    @property
    def where(self) -> str:
        """Where the server is, without any secret."""
        if self.topology is not None:
            return self.topology.where
        options = self._options
        if path := options.get("unix_socket_path"):
            return f"unix:{path}"
        host, port = options.get("host", "localhost"), options.get("port", 6379)
        host = f"[{host}]" if ":" in host else host
        return f"{host}:{port}/{options.get('db', 0)}"

    @property
    def secrets(self) -> list[str]:
        """What must not be shown to anybody."""
        names = ("password", *_OF_SENTINELS)
        return [self._options[name] for name in names if self._options.get(name)]

    @property
    def call_seconds(self) -> float:
        """How long a call may take: to connect, and to be answered."""
        seconds: float = self._options["socket_connect_timeout"] + self._options["socket_timeout"]
        return seconds

    def thread_pool(
        self, breaker: NodeBreaker, address: tuple[str, int] | None = None
    ) -> ThreadPool:
        """Make a pool of the blocking face.

        Args:
            breaker: the circuit of the server.
            address: host and port of the one node of a cluster that its connections lead to;
                ``None`` for the server, or the master that the sentinels name.

        Raises:
            ConfigurationError: the options name several servers, and no address was given.
        """
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        from symphra_cache._redis_pools import ThreadPool

        options = self._pool_options(self._blocking_kinds(address), address)
        return ThreadPool(
            breaker, max_connections=_CONNECTIONS, retry=Retry(NoBackoff(), 0), **options
        )

    def loop_pool(self, breaker: NodeBreaker, address: tuple[str, int] | None = None) -> LinePool:
        """Make a pool for the running loop; see `thread_pool`."""
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        from symphra_cache import _redis_connections
        from symphra_cache._redis_line_pool import LinePool

        kinds = _redis_connections.ASYNCIO
        if self._leads_to_master(address):
            from symphra_cache import _redis_sentinel

            kinds = _redis_sentinel.ASYNCIO
        options = self._pool_options(kinds, address)
        return LinePool(
            breaker,
            self._tls,
            max_connections=_LOOP_CONNECTIONS,
            retry=Retry(NoBackoff(), 0),
            **options,
        )

    def link_connection(self, address: tuple[str, int] | None) -> Any:
        """Make a connection for a near cache, which waits for what the server has to tell.

        Args:
            address: see `thread_pool`.
        """
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        options = self._pool_options(self._blocking_kinds(address), address)
        kind = options.pop("connection_class")
        return kind(protocol=3, retry=Retry(NoBackoff(), 0), **options)

    def _blocking_kinds(self, address: tuple[str, int] | None) -> Mapping[str, type]:
        from symphra_cache import _redis_connections

        if self._leads_to_master(address):
            from symphra_cache import _redis_sentinel

            return _redis_sentinel.BLOCKING
        return _redis_connections.BLOCKING

    def _leads_to_master(self, address: tuple[str, int] | None) -> bool:
        return self._sentinels is not None and address is None

    def _pool_options(
        self, kinds: Mapping[str, type], address: tuple[str, int] | None
    ) -> dict[str, Any]:
        """Return the options of a pool, with one of these classes for its connections.

        The pools add retries: none, for what may have been applied is never sent twice.
        """
        options = {name: self._options[name] for name in self._options if name not in _OF_SENTINELS}
        if address is not None:
            options["host"], options["port"] = address
        elif self._sentinels is not None:
            options["sentinels"] = self._sentinels
        elif self.topology is not None:
            raise ConfigurationError(f"Redis at {self.where} has many servers; name one of them")
        way = "tcp"
        if path := options.pop("unix_socket_path", None):
            options["path"] = path
            way = "unix"
        elif options.pop("ssl", False):
            way = "tls"
        return {**options, "connection_class": kinds[way], **_notices_off()}

    def _asked_sentinels(self) -> Sentinels | None:
        if self.topology is None or self.topology.kind != "sentinel":
            return None
        options = {name: self._options[name] for name in self._options if name.startswith("ssl_")}
        for name in _OF_SENTINELS:
            if name in self._options:
                options[name.removeprefix("sentinel_")] = self._options[name]
        return Sentinels(self.topology, options)


def _notices_off() -> dict[str, Any]:
    """Return the option that turns off redis-py's notices of maintenance, if it knows them.

    With them its pools no longer test a connection before they lend it.
    """
    try:
        from redis.maint_notifications import MaintNotificationsConfig
    except ImportError:
        return {}
    return {"maint_notifications_config": MaintNotificationsConfig(enabled=False)}


def _check_type(name: str, value: object) -> None:
    try:
        _OPTIONS[name].accepted(value)
    except ValueError:
        wanted = _OPTIONS[name].described(as_text=False)
        raise ConfigurationError(f"{name} must be {wanted}, got {type(value).__name__}") from None


def _refuse_beside_url(lists: Mapping[str, object], service: str | None) -> None:
    for name in (*lists, *(["service_name"] if service is not None else [])):
        raise ConfigurationError(
            f"{name} can't stand beside url, which names all servers and the service itself; "
            "leave one of the two out"
        )


def _check_servers(
    topology: Topology | None, options: Mapping[str, Any], given_as: str | None
) -> None:
    """Refuse options that have no meaning beside the servers that were named."""
    if topology is not None:
        check_topology_options(topology, options, given_as)
    if topology is None or topology.kind != "sentinel":
        for name in _OF_SENTINELS:
            if name in options:
                raise ConfigurationError(
                    f"{name} needs sentinels: give sentinels=[…], or redis+sentinel:// in the URL"
                )


def _read(url: object) -> tuple[dict[str, Any], Topology | None]:
    """Return the options that a URL holds, and the servers if it names several."""
    if not isinstance(url, str) or not url.lower().startswith(_SCHEMES):
        got = "another scheme" if isinstance(url, str) else type(url).__name__
        raise ConfigurationError(f"url must begin with {', '.join(_SCHEMES)}, got {got}")
    address = read_url("", url)
    topology = topology_of(address)
    user, _, server = address.host.rpartition("@")
    username, _, password = user.partition(":")
    try:
        options: dict[str, Any] = {
            "username": unquote(username, errors="strict"),
            "password": unquote(password, errors="strict"),
        }
    except UnicodeDecodeError:
        raise _unreadable() from None
    if topology is None:
        options |= _address_of(address, server)
    else:
        options["ssl"] = topology.tls or None
    options = {name: value for name, value in options.items() if value not in ("", None)}
    query = _query_of(address)
    _refuse_contradictions("twice", options, query)
    return options | query, topology


def _address_of(address: Address, server: str) -> dict[str, Any]:
    if address.scheme == "unix":
        if server or len(address.path) < 2:
            raise ConfigurationError(
                "url of a unix socket must hold its absolute path, after three slashes: "
                "unix:///run/redis.sock"
            )
        return {"unix_socket_path": address.path}
    found = _SERVER.fullmatch(server)
    db = address.path.removeprefix("/")
    if found is None or not re.fullmatch("[0-9]{0,7}", db):
        raise _unreadable()
    return {
        "host": unquote(found["host"].strip("[]")),
        "port": found["port"] and int(found["port"]),
        "db": int(db) if db else None,
        "ssl": True if address.scheme == "rediss" else None,
    }


def _query_of(address: Address) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for name, text in address.query:
        if name not in _OPTIONS:
            vague = "a name in the query" if address.query_may_hold_secret else None
            raise unknown(
                f"url: {name[:64]!r}", name, {known: known for known in _OPTIONS}, vague=vague
            )
        if name in options:
            raise ConfigurationError(f"url: {name} stands there twice; leave one of the two out")
        try:
            options[name] = _OPTIONS[name].converted(text)
        except ValueError:
            wanted = _OPTIONS[name].described(as_text=True)
            raise ConfigurationError(
                f"url: {name} must be {wanted}, got {shown(name, text)}"
            ) from None
    return options


def _unreadable() -> ConfigurationError:
    return ConfigurationError(
        "url can't be read (a port or a database that is no number, say); it is "
        "redis://[user:password@]host[:port][/db], with special characters percent-encoded"
    )


def _refuse_contradictions(where: str, one: dict[str, Any], other: dict[str, Any]) -> None:
    for name in sorted(one.keys() & other.keys()):
        if one[name] != other[name]:
            raise ConfigurationError(
                f"{name} stands in the URL {where}, with different values; leave one of the two out"
            )


def _check_values(options: dict[str, Any]) -> None:
    for name in ("socket_timeout", "socket_connect_timeout"):
        if not 0 < options[name] < 86_400:
            raise ConfigurationError(
                f"{name} must be seconds, more than 0 and less than a day, got {options[name]}"
            )
    for name, (lowest, highest) in _RANGES.items():
        if name in options and not lowest <= options[name] <= highest:
            raise ConfigurationError(
                f"{name} must be from {lowest} to {highest}, got {options[name]}"
            )
    for name, value in options.items():
        if value == "" and name not in _MAY_BE_EMPTY:
            raise ConfigurationError(f"{name} must not be empty; leave it out instead")
        if isinstance(value, str) and not _is_text(value) and name != "unix_socket_path":
            raise ConfigurationError(f"{name} must be text that has a UTF-8 form")
    if not re.fullmatch("[!-~]+", options.get("client_name", "x")):
        raise ConfigurationError("client_name must be of printable ASCII without spaces")


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_transport(options: dict[str, Any]) -> None:
    """Refuse options that the way to the server has no use for."""
    tls = [name for name in options if name.startswith("ssl_")]
    if "unix_socket_path" in options:
        idle = [name for name in options if name in ("host", "port")] + tls
        if idle or options.get("ssl"):
            raise ConfigurationError(
                f"{(idle or ['ssl'])[0]} can't stand beside a unix socket, which knows no such "
                "thing; leave one of the two out"
            )
        options.pop("ssl", None)
    elif tls and not options.get("ssl"):
        raise ConfigurationError(f"{tls[0]} needs TLS: say ssl=True, or rediss:// in the URL")
    if "ssl_keyfile" in options and "ssl_certfile" not in options:
        raise ConfigurationError("ssl_keyfile needs ssl_certfile, the certificate of the key")
