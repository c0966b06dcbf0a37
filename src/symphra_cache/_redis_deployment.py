"""Where the servers of a backend are and how they are reached: the state of its connections."""

from __future__ import annotations

from functools import partial

from symphra_cache._redis_breaker import CircuitBreaker, NodeBreaker
from symphra_cache._redis_cluster import Cluster
from symphra_cache._redis_loops import Pools
from symphra_cache._redis_nodes import LoopNodes, ThreadNodes
from symphra_cache._redis_options import ClientOptions, checked_client
from symphra_cache.exceptions import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["Deployment", "Routes"]


class Deployment:
    """One server, the master that sentinels name, or a cluster.

    Args:
        url: see `RedisBackend`.
        arguments: likewise, by their names; ``None`` for what was not given.
        client: the program's own blocking client.
        async_client: its asyncio client.
        breaker: when the circuit to a server opens.

    Attributes:
        where: the servers, without secrets.
        secrets: what must not be shown to anybody.
        pools: of connections.
        cluster: what is known of it, ``None`` if it is no cluster.

    Raises:
        ConfigurationError: an argument is wrong.
    """

    def __init__(
        self,
        url: str | None,
        arguments: Mapping[str, Any],
        client: Any,
        async_client: Any,
        breaker: CircuitBreaker | None,
    ) -> None:
        if breaker is not None and not isinstance(breaker, CircuitBreaker):
            raise ConfigurationError(
                f"breaker must be a CircuitBreaker or None, got {type(breaker).__name__}"
            )
        checked_client(client, "client")
        checked_client(async_client, "async_client")
        injected = [one for one in (client, async_client) if one is not None]
        if injected:
            _refuse_beside_client(url, arguments)
        options = ClientOptions(url, arguments)
        self.where: str = "an injected client" if injected else options.where
        self.secrets: list[str] = [*options.secrets, *_passwords(injected)]
        topology = options.topology
        self.cluster: Cluster | None = None
        if topology is not None and topology.kind == "cluster":
            self.cluster = Cluster(topology.hosts, breaker, options.call_seconds)
            self.pools: Pools = Pools(
                partial(ThreadNodes, options, self.cluster),
                partial(LoopNodes, options, self.cluster),
            )
            return
        circuit = NodeBreaker(breaker, self.where)
        self.pools = Pools(
            partial(options.thread_pool, circuit),
            partial(options.loop_pool, circuit),
            *_given_pools(client, async_client, circuit),
        )


class Routes:
    """State of the ways to the servers; their faces are in ``_async/redis_routes.py``.

    Args:
        deployment: the servers.
    """

    def __init__(self, deployment: Deployment) -> None:
        self._pools: Pools = deployment.pools
        # ``None`` if it is none: `OneServer` knows nothing of it.
        self._cluster: Any = deployment.cluster


def _refuse_beside_client(url: str | None, arguments: Mapping[str, Any]) -> None:
    given = [name for name, value in arguments.items() if value is not None]
    if url is not None or given:
        what = "url" if url is not None else given[0]
        raise ConfigurationError(
            f"{what} can't stand beside an injected client, which knows its server already"
        )


def _passwords(clients: list[Any]) -> list[str]:
    known = [client.connection_pool.connection_kwargs.get("password") for client in clients]
    return [password for password in known if password]


def _given_pools(client: Any, async_client: Any, circuit: NodeBreaker) -> tuple[Any, Any]:
    if client is None and async_client is None:
        return None, None
    from symphra_cache._redis_pools import InjectedLoopPool, InjectedPool

    return (
        client and InjectedPool(client.connection_pool, circuit),
        async_client and InjectedLoopPool(async_client.connection_pool, circuit),
    )
