"""Clients that the program made itself: which are refused, and what is taken from them.

Nothing of redis-py is imported here: who hands over a client has loaded it.
"""

from __future__ import annotations

import sys
from inspect import iscoroutinefunction
from typing import NamedTuple

from symphra_cache.exceptions import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["ClusterSettings", "checked_client", "cluster_settings", "is_cluster", "secrets_of"]

# By face: modules that may be loaded, and the classes there.
_CLUSTERS = (("redis.cluster", "RedisCluster"), ("redis.asyncio.cluster", "RedisCluster"))
_NO_CLIENTS = (
    *(("redis.client", "Pipeline"), ("redis.asyncio.client", "Pipeline")),
    *(("redis.cluster", "ClusterPipeline"), ("redis.asyncio.cluster", "ClusterPipeline")),
    *(("redis.client", "PubSub"), ("redis.asyncio.client", "PubSub")),
)
_TLS = (("redis.connection", "SSLConnection"), ("redis.asyncio.connection", "SSLConnection"))
# What a connection of ours takes over from those of a cluster's client.
_TAKEN = (
    *("username", "password", "credential_provider", "client_name", "driver_info", "protocol"),
    *("socket_timeout", "socket_connect_timeout", "socket_read_size"),
    *("socket_keepalive", "socket_keepalive_options"),
)


class ClusterSettings(NamedTuple):
    """How the client of a cluster reaches it.

    Attributes:
        addresses: host and port of the nodes that it asks for all others.
        options: of redis-py's connections; ``ssl`` tells whether they take TLS. What is not set
            there is missing.
    """

    addresses: list[tuple[str, int]]
    options: dict[str, Any]


def checked_client(client: Any, name: str) -> None:
    """Refuse an injected client that would change what we read or is of the wrong face.

    Args:
        client: the client, ``None`` if there is none.
        name: of the argument, ``"client"`` or ``"async_client"``.

    Raises:
        ConfigurationError: it decodes replies, reads from replicas or is no client.
    """
    if client is None:
        return
    if _is_one_of(client, _NO_CLIENTS):
        raise ConfigurationError(
            f"{name} must be a redis-py client, got a {type(client).__name__} of one; pass the "
            "client itself"
        )
    if is_cluster(client):
        _check_face(client, name, "RedisCluster")
        _check_cluster(client, name)
        return
    pool = getattr(client, "connection_pool", None)
    if not callable(getattr(client, "execute_command", None)) or pool is None:
        raise ConfigurationError(f"{name} must be a redis-py client, got {type(client).__name__}")
    _check_face(client, name, "Redis")
    if pool.connection_kwargs.get("decode_responses"):
        raise _decodes(name)
    if getattr(pool, "is_master", True) is False:
        raise ConfigurationError(
            f"{name} must write to the master, got one for replicas; make it with "
            "sentinel.master_for(...)"
        )


def is_cluster(client: object) -> bool:
    """Tell whether a client is redis-py's for a cluster, of either face."""
    return _is_one_of(client, _CLUSTERS)


def cluster_settings(client: Any) -> ClusterSettings:
    """Return what it takes to reach the cluster of a client that was checked.

    Args:
        client: a ``RedisCluster`` of redis-py, of either face.
    """
    kwargs = client.get_connection_kwargs()
    options = {name: kwargs[name] for name in _TAKEN if kwargs.get(name) is not None}
    if kwargs.get("ssl") or issubclass(kwargs.get("connection_class", object), _loaded(_TLS)):
        options["ssl"] = True
        options |= {
            name: value
            for name, value in kwargs.items()
            if name.startswith("ssl_") and value is not None
        }
    nodes = list(client.nodes_manager.startup_nodes.values())
    return ClusterSettings([(node.host, int(node.port)) for node in nodes], options)


def secrets_of(client: Any) -> list[str]:
    """Return the passwords that a client uses, those for sentinels included."""
    if is_cluster(client):
        sources = [client.get_connection_kwargs()]
    else:
        pool = client.connection_pool
        manager = getattr(pool, "sentinel_manager", None)
        sources = [pool.connection_kwargs, getattr(manager, "sentinel_kwargs", None) or {}]
    found = []
    for kwargs in sources:
        provider = kwargs.get("credential_provider")
        known = kwargs.get("password"), kwargs.get("ssl_password"), _password_of(provider)
        found += [secret for secret in known if secret and isinstance(secret, str)]
    return found


def _password_of(provider: Any) -> Any:
    return getattr(provider, "password", None)


def _is_one_of(thing: object, classes: tuple[tuple[str, str], ...]) -> bool:
    """Tell whether something is an instance of one of these classes, if they are loaded."""
    return isinstance(thing, _loaded(classes))


def _loaded(classes: tuple[tuple[str, str], ...]) -> tuple[type, ...]:
    found = [getattr(sys.modules.get(module), name, None) for module, name in classes]
    return tuple(kind for kind in found if isinstance(kind, type))


def _check_face(client: Any, name: str, kind: str) -> None:
    if iscoroutinefunction(client.execute_command) != (name == "async_client"):
        wanted = f"redis.asyncio.{kind}" if name == "async_client" else f"redis.{kind}"
        raise ConfigurationError(f"{name} must be a {wanted}, got the other face's client")


def _check_cluster(client: Any, name: str) -> None:
    if client.encoder.decode_responses:
        raise _decodes(name)
    for option in ("read_from_replicas", "load_balancing_strategy"):
        if getattr(client, option, None):
            raise ConfigurationError(
                f"{name} must read from primaries, for what a replica answers may be old; make "
                f"it without {option}"
            )
    if getattr(client, "user_on_connect_func", None) is not None:
        raise ConfigurationError(
            f"{name} has a redis_connect_func, and connections of ours would do without it; make "
            "it without"
        )
    if getattr(client.nodes_manager, "address_remap", None) is not None:
        raise ConfigurationError(
            f"{name} has an address_remap, which connections of ours don't know; make it without, "
            "and have the nodes announce addresses that can be reached"
        )


def _decodes(name: str) -> ConfigurationError:
    return ConfigurationError(
        f"{name} must return bytes, got one with decode_responses=True; "
        "make it with decode_responses=False"
    )
