"""Where the servers of a backend are and how they are reached: the state of its connections."""

from __future__ import annotations

from functools import partial

from symphra_cache._redis_breaker import CircuitBreaker, NodeBreaker
from symphra_cache._redis_cluster import Cluster
from symphra_cache._redis_injected import (
    checked_client,
    cluster_settings,
    is_cluster,
    secrets_of,
)
from symphra_cache._redis_loops import Pools
from symphra_cache._redis_nodes import LoopNodes, ThreadNodes
from symphra_cache._redis_options import ClientOptions
from symphra_cache.exceptions import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from symphra_cache._redis_slots import Address

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
        link_connection: makes a connection on which a server, given by its address if there
            are many, tells what is written; ``None`` if the program has made the clients.

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
        self.secrets: list[str] = [*options.secrets]
        for one in injected:
            self.secrets += secrets_of(one)
        self.where: str = "an injected client" if injected else options.where
        self.cluster: Cluster | None = None
        self.link_connection: Callable[[Address | None], Any] | None = None
        if not injected:
            self.link_connection = options.link_connection
        if any(is_cluster(one) for one in injected):
            self._join(*_of_clients(client, async_client), breaker)
        elif options.topology is not None and options.topology.kind == "cluster":
            self._join(options, options, breaker)
        else:
            self._connect(options, client, async_client, NodeBreaker(breaker, self.where))

    def _join(
        self,
        blocking: ClientOptions | None,
        asyncio: ClientOptions | None,
        breaker: CircuitBreaker | None,
    ) -> None:
        """Prepare connections to the nodes of a cluster; a face without options has none."""
        one = blocking or asyncio
        assert one is not None
        assert one.topology is not None
        self.cluster = Cluster(one.topology.hosts, breaker, one.call_seconds)
        self.pools: Pools = Pools(
            None if blocking is None else partial(ThreadNodes, blocking, self.cluster),
            None if asyncio is None else partial(LoopNodes, asyncio, self.cluster),
        )

    def _connect(
        self, options: ClientOptions, client: Any, async_client: Any, circuit: NodeBreaker
    ) -> None:
        """Prepare connections to one server, or take those of clients."""
        if client is None and async_client is None:
            self.pools = Pools(
                partial(options.thread_pool, circuit), partial(options.loop_pool, circuit)
            )
            return
        from symphra_cache._redis_talks import InjectedLoopPool, InjectedPool

        given = given_async = None
        if client is not None:
            given = InjectedPool(client.connection_pool, circuit)
        if async_client is not None:
            given_async = InjectedLoopPool(async_client.connection_pool, circuit)
        self.pools = Pools(given=given, given_async=given_async)


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


def _of_clients(
    client: Any, async_client: Any
) -> tuple[ClientOptions | None, ClientOptions | None]:
    """Return what the clients of a cluster know of it.

    Their connections are not used: to find its way, such a client repeats commands that may
    have been applied.
    """
    both = (client, async_client)
    if not all(one is None or is_cluster(one) for one in both):
        raise ConfigurationError(
            "client and async_client must lead to the same servers, got one of a cluster and one "
            "of a single server"
        )
    blocking, asyncio = (one and ClientOptions.of_cluster(cluster_settings(one)) for one in both)
    return blocking, asyncio
