"""How clients of a Redis server are made: from a URL, from arguments, or both."""

from __future__ import annotations

from symphra_cache.exceptions import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    import redis
    import redis.asyncio

__all__ = ["ClientOptions", "checked_client"]

# Seconds. redis-py's own are 5, which is long for a cache.
_TIMEOUTS = {"socket_timeout": 1.0, "socket_connect_timeout": 1.0}
# Threads and tasks beyond these queue for a connection; they get no error.
_CONNECTIONS = 64
_LOOP_CONNECTIONS = 16


class ClientOptions:
    """Everything that redis-py needs to know, for either face. Connects to nothing."""

    def __init__(self, url: str | None, arguments: Mapping[str, Any]) -> None:
        given = {name: value for name, value in arguments.items() if value is not None}
        self._from_url: dict[str, Any] = {}
        self._arguments = _checked(given)
        # Only what the program said can contradict the URL.
        self._url = None if url is None else _checked_url(url)
        if self._url is not None:
            self._from_url = _parsed(self._url)
            self._refuse_contradictions()
        self._options = {**_TIMEOUTS, **self._arguments, **self._from_url}

    def _refuse_contradictions(self) -> None:
        said_twice = sorted(self._from_url.keys() & self._arguments.keys())
        for name in said_twice:
            if self._from_url[name] != self._arguments[name]:
                raise ConfigurationError(
                    f"{name} stands in the URL and beside it, with different values; "
                    "leave one of the two out"
                )

    @property
    def where(self) -> str:
        """Where the server is, without any secret."""
        options = self._options
        if path := options.get("path") or options.get("unix_socket_path"):
            return f"unix:{path}"
        host, port = options.get("host", "localhost"), options.get("port", 6379)
        return f"{host}:{port}/{options.get('db', 0)}"

    def blocking_client(self) -> redis.Redis:
        """Make the client of the blocking face."""
        import redis
        from redis import connection

        make_pool: Any = redis.BlockingConnectionPool
        options = self._pool_options(connection)
        pool = make_pool(max_connections=_CONNECTIONS, timeout=None, **options)
        return redis.Redis.from_pool(pool)  # the client owns it and closes it

    def asyncio_client(self) -> redis.asyncio.Redis:
        """Make a client for the running loop."""
        import redis.asyncio
        from redis.asyncio import connection

        options = self._pool_options(connection)
        pool = redis.asyncio.BlockingConnectionPool(
            max_connections=_LOOP_CONNECTIONS, timeout=None, **options
        )
        return redis.asyncio.Redis.from_pool(pool)  # as above

    def _pool_options(self, connection: Any) -> dict[str, Any]:
        """Return the options of a pool, with the connection class of the face's module."""
        from redis.backoff import NoBackoff
        from redis.maint_notifications import MaintNotificationsConfig
        from redis.retry import Retry

        if connection.__name__.startswith("redis.asyncio"):
            from redis.asyncio.retry import Retry  # type: ignore[assignment]
        options = dict(self._options)
        if self._url is not None and "connection_class" in (
            parsed := connection.parse_url(self._url)
        ):
            options["connection_class"] = parsed["connection_class"]
        elif path := options.pop("unix_socket_path", None):
            options |= {"path": path, "connection_class": connection.UnixDomainSocketConnection}
        elif options.pop("ssl", False):
            options["connection_class"] = connection.SSLConnection
        kind = options.get("connection_class", object)
        if issubclass(kind, connection.UnixDomainSocketConnection):
            options = {name: options[name] for name in options if name not in _TCP_ONLY}
        # What may have been applied is never sent twice. redis-py's notices of maintenance
        # are off, for with them its pools no longer test a connection before they lend it.
        return {
            **options,
            "retry": Retry(NoBackoff(), 0),
            "maint_notifications_config": MaintNotificationsConfig(enabled=False),
        }


_TCP_ONLY = frozenset({"host", "port", "socket_keepalive", "socket_connect_timeout"})
_SCHEMES = ("redis://", "rediss://", "unix://")


def _checked_url(url: object) -> str:
    if isinstance(url, str) and url.startswith(_SCHEMES):
        return url
    got = "another scheme" if isinstance(url, str) else type(url).__name__
    raise ConfigurationError(f"url must begin with {', '.join(_SCHEMES)}, got {got}")


def _parsed(url: str) -> dict[str, Any]:
    from redis import connection

    parse: Any = connection.parse_url
    try:
        options: dict[str, Any] = dict(parse(url))
    except ValueError:
        raise ConfigurationError(
            "url can't be read (a port or a database that is no number, say); it is "
            "redis://[user:password@]host[:port][/db], with special characters percent-encoded"
        ) from None
    options.pop("connection_class", None)
    return options


def _checked(arguments: dict[str, Any]) -> dict[str, Any]:
    for name in ("socket_timeout", "socket_connect_timeout"):
        value = arguments.get(name, 1)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 86_400:
            got = repr(value) if type(value) in (int, float) else type(value).__name__
            raise ConfigurationError(f"{name} must be seconds, more than 0, got {got}")
    for name, highest in (("port", 65_535), ("db", 1_000_000)):
        value = arguments.get(name, 0)
        if type(value) is not int or not 0 <= value <= highest:
            got = repr(value) if type(value) is int else type(value).__name__
            raise ConfigurationError(f"{name} must be an int from 0 to {highest}, got {got}")
    return arguments


def checked_client(client: object, name: str) -> None:
    """Refuse an injected client that would change what we read or is of the wrong face.

    Raises:
        ConfigurationError: it decodes replies, or is no client.
    """
    if client is None:
        return
    pool = getattr(client, "connection_pool", None)
    if not callable(getattr(client, "execute_command", None)) or pool is None:
        raise ConfigurationError(f"{name} must be a redis-py client, got {type(client).__name__}")
    from inspect import iscoroutinefunction

    is_async = iscoroutinefunction(client.execute_command)  # type: ignore[attr-defined]
    if is_async != (name == "async_client"):
        wanted = "redis.asyncio.Redis" if name == "async_client" else "redis.Redis"
        raise ConfigurationError(f"{name} must be a {wanted}, got the other face's client")
    if pool.connection_kwargs.get("decode_responses"):
        raise ConfigurationError(
            f"{name} must return bytes, got one with decode_responses=True; "
            "make it with decode_responses=False"
        )
