"""`RedisBackend`: on a Redis server, shared by the processes of all hosts that reach it."""

from __future__ import annotations

import symphra_cache._async.redis_near as _asyncio
import symphra_cache._sync.redis_near as _blocking
from symphra_cache._async.redis import AsyncNearRedisOps, AsyncRedisOps
from symphra_cache._async.redis_routes import AsyncManyServers, AsyncOneServer
from symphra_cache._frame import MAX_VALUE_BYTES
from symphra_cache._redis import RedisStore
from symphra_cache._redis_breaker import CircuitBreaker
from symphra_cache._redis_deployment import Deployment
from symphra_cache._redis_near import NearCache
from symphra_cache._sync.redis import SyncNearRedisOps, SyncRedisOps
from symphra_cache._sync.redis_routes import SyncManyServers, SyncOneServer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    import redis
    import redis.asyncio

    from symphra_cache._metrics import Counters
    from symphra_cache._redis_near import NearTable
    from symphra_cache.serializers import Serializer

__all__ = ["CircuitBreaker", "NearCache", "RedisBackend"]


# Of settings only, so one will do.
_BREAKER = CircuitBreaker()


class OneServer(AsyncOneServer, SyncOneServer):
    """The way to a single server, both faces."""


class ManyServers(AsyncManyServers, SyncManyServers):
    """The way to the nodes of a cluster, both faces."""


class NearRoutes(_asyncio.AsyncNearRoutes, _blocking.SyncNearRoutes):
    """The way past the near cache, both faces."""


class NearKeyspace(AsyncNearRedisOps, SyncNearRedisOps):
    """One namespace with a near cache, both faces, without the hot path."""


class PastNearKeyspace(AsyncRedisOps, SyncRedisOps):
    """One namespace, whose reads all go to the server."""


class RedisKeyspace(AsyncRedisOps, SyncRedisOps):
    """One namespace on a Redis server, both faces."""

    def __init__(self, store: RedisStore, path: str, counters: Counters | None = None) -> None:
        super().__init__(store, path, counters)
        if store.near is not None:
            self._read_near(NearKeyspace(store, path, self._counters), store.near.table)

    def _past_near(self) -> PastNearKeyspace:
        """Return the same namespace without the near cache, for `DegradingState`."""
        return PastNearKeyspace(self._store, self._path, self._counters)

    def _read_near(self, cold: NearKeyspace, table: NearTable) -> None:
        """Read by what the near cache has first; a subclass's own methods stay."""
        # Hot path. The readers get a keyspace of their own: one that held them would be a circle.
        mine, own = type(self), vars(self)
        if mine.get is SyncRedisOps.get:
            own["get"] = _blocking.near_reader(cold, table, cold.get)
        if mine.aget is AsyncRedisOps.aget:
            own["aget"] = _asyncio.near_reader(cold, table, cold.aget)
        if mine.get_many is SyncRedisOps.get_many:
            own["get_many"] = cold.get_many
        if mine.aget_many is AsyncRedisOps.aget_many:
            own["aget_many"] = cold.aget_many


class RedisBackend(RedisKeyspace):
    """A cache on a Redis (or Valkey) server from version 6.2 on.

    Safe to use from any thread, any event loop, any process and after ``os.fork``. Connects
    with the first operation, not here: one client for the process, one for each event loop.
    The names of the arguments are redis-py's; what is not given is as there, unless said.

    Args:
        url: ``redis://[user:password@]host[:port][/db]``, ``rediss://…`` with TLS, or
            ``unix://[user:password@]/path/to/socket?db=0``. Also the master that sentinels know,
            ``redis+sentinel://[user:password@]host[:port],host[:port]/service[?db=0]``, and a
            cluster, ``redis+cluster://[user:password@]host[:port],host[:port]``; user and
            password are the data servers', ``rediss+…`` reaches all of them by TLS. Arguments
            complete it.
        host: name or address of the server, ``"localhost"`` by default.
        port: its port, 6379 by default.
        db: number of the database, 0 by default.
        username: user of an access control list.
        password: its password.
        unix_socket_path: path of the server's socket, instead of host and port.
        sentinels: addresses of Redis Sentinels, ``"host"``, ``"host:port"`` or ``(host, port)``,
            instead of host and port; 26379 is their port by default. They are asked for the
            master with each new connection, and the last one that knew it is asked first.
        service_name: what the sentinels call the master.
        sentinel_username: user of the sentinels' own access control list.
        sentinel_password: its password; they are never sent the one of the data servers.
        startup_nodes: addresses of some nodes of a Redis Cluster, likewise; the others are
            learned from them.
        ssl: whether to use TLS; the server's certificate is verified.
        ssl_ca_certs: path of certificates to trust, besides the system's.
        ssl_certfile: path of the client's certificate.
        ssl_keyfile: path of its key.
        ssl_check_hostname: whether the certificate must be the host's, ``True`` by default.
        client_name: what ``CLIENT LIST`` calls our connections.
        socket_timeout: seconds that one answer may take.
        socket_connect_timeout: seconds that connecting may take.
        client: a ``redis.Redis`` of the program's own for the blocking face, instead of all
            the above; not closed by us.
        async_client: a ``redis.asyncio.Redis`` likewise, for the one loop that it belongs to.
        breaker: after how many failures a server is left alone, and for how long, so that a dead
            one does not cost every call a time-out; ``None``: never.
        near_cache: how much of what is read is kept in memory, where a read takes a hundredth of
            the time; the servers tell what is written. ``None``: nothing. Needs connections of
            its own, so no ``client``.
        serializer: how values are written; ``MessagePackSerializer()`` by default.
        max_value_bytes: a value larger than this, serialized, is refused.

    Raises:
        ConfigurationError: an argument is wrong.
    """

    kind: str = "redis"

    def __init__(
        self,
        url: str | None = None,
        *,
        host: str | None = None,
        port: int | None = None,
        db: int | None = None,
        username: str | None = None,
        password: str | None = None,
        unix_socket_path: str | None = None,
        sentinels: Sequence[str | tuple[str, int]] | None = None,
        service_name: str | None = None,
        sentinel_username: str | None = None,
        sentinel_password: str | None = None,
        startup_nodes: Sequence[str | tuple[str, int]] | None = None,
        ssl: bool | None = None,
        ssl_ca_certs: str | None = None,
        ssl_certfile: str | None = None,
        ssl_keyfile: str | None = None,
        ssl_check_hostname: bool | None = None,
        client_name: str | None = None,
        socket_timeout: float | None = None,
        socket_connect_timeout: float | None = None,
        client: redis.Redis | None = None,
        async_client: redis.asyncio.Redis | None = None,
        breaker: CircuitBreaker | None = _BREAKER,
        near_cache: NearCache | None = None,
        serializer: Serializer | None = None,
        max_value_bytes: int = MAX_VALUE_BYTES,
    ) -> None:
        arguments = {
            "host": host,
            "port": port,
            "db": db,
            "username": username,
            "password": password,
            "unix_socket_path": unix_socket_path,
            "sentinels": sentinels,
            "service_name": service_name,
            "sentinel_username": sentinel_username,
            "sentinel_password": sentinel_password,
            "startup_nodes": startup_nodes,
            "ssl": ssl,
            "ssl_ca_certs": ssl_ca_certs,
            "ssl_certfile": ssl_certfile,
            "ssl_keyfile": ssl_keyfile,
            "ssl_check_hostname": ssl_check_hostname,
            "client_name": client_name,
            "socket_timeout": socket_timeout,
            "socket_connect_timeout": socket_connect_timeout,
        }
        deployment = Deployment(url, arguments, client, async_client, breaker)
        routes = OneServer(deployment) if deployment.cluster is None else ManyServers(deployment)
        store = RedisStore(deployment, routes, serializer, max_value_bytes, near_cache)
        if store.near is not None:
            store.routes = NearRoutes(routes, store.near.table)
        super().__init__(store, "")

    def keyspace(self, path: str, counters: Counters) -> RedisKeyspace:
        """Return the view on a namespace that counts into ``counters``."""
        return RedisKeyspace(self._store, path, counters)

    def __repr__(self) -> str:
        return f"RedisBackend({self._store.where!r})"
