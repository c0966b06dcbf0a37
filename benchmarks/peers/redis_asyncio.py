"""Peers with an asyncio face, on a Redis server: as in `peers.redis_blocking`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.loops import Calls
from peers.redis_blocking import configured_django

if TYPE_CHECKING:
    from collections.abc import Iterable


def raw(url: str, ttl: int, **options: object) -> Calls:
    """redis.asyncio alone: `GET`, `SET EX`, `MGET`, and a pipeline of `SET EX`."""
    from redis.asyncio import Redis

    client = Redis.from_url(url, **options)
    return _called(client, client.mget, ttl, transaction=False)


def raw_queueing(url: str, ttl: int, **options: object) -> Calls:
    """redis.asyncio with the pool of its own for whose connections tasks queue."""
    from redis.asyncio import BlockingConnectionPool, Redis

    client = Redis.from_pool(BlockingConnectionPool.from_url(url, **options))
    return _called(client, client.mget, ttl, transaction=False)


def raw_cluster(nodes: Iterable[str], ttl: int, **options: object) -> Calls:
    """redis.asyncio's client for clusters."""
    from redis.asyncio.cluster import ClusterNode, RedisCluster

    found = [node.split(":") for node in nodes]
    startup = [ClusterNode(host, int(port)) for host, port in found]
    client = RedisCluster(startup_nodes=startup, **options)
    return _called(client, client.mget_nonatomic, ttl)


def _called(client: Any, get_many: Any, ttl: int, **options: Any) -> Calls:
    pipeline = client.pipeline

    async def set_many(mapping: dict[str, Any]) -> None:
        async with pipeline(**options) as batch:
            for key, value in mapping.items():
                batch.set(key, value, ex=ttl)
            await batch.execute()

    return Calls(
        {"get": client.get, "set": client.set, "get_many": get_many, "set_many": set_many},
        "await get(key)",
        f"await set(key, value, ex={ttl})",
        is_async=True,
        get_many="await get_many(keys)",
        set_many="await set_many(mapping)",
        close=client.aclose,
    )


def cashews(url: str, ttl: int, **options: object) -> Calls:
    """Cashews with its default settings: ten connections, for which tasks queue."""
    from cashews import Cache

    cache = Cache()
    cache.setup(url, **options)
    return Calls(
        {
            **{"get": cache.get, "set": cache.set},
            **{"get_many": cache.get_many, "set_many": cache.set_many},
        },
        "await get(key)",
        f"await set(key, value, expire={ttl})",
        is_async=True,
        get_many="await get_many(*keys)",
        set_many=f"await set_many(mapping, expire={ttl})",
        close=cache.close,
    )


def aiocache(url: str, ttl: int, **options: object) -> Calls:
    """aiocache; it writes values as JSON."""
    from urllib.parse import urlsplit

    from aiocache import RedisCache

    place = urlsplit(url)
    cache = RedisCache(
        endpoint=place.hostname, port=place.port, db=int(place.path.strip("/")), **options
    )
    return Calls(
        {
            **{"get": cache.get, "set": cache.set},
            **{"multi_get": cache.multi_get, "multi_set": cache.multi_set},
        },
        "await get(key)",
        f"await set(key, value, ttl={ttl})",
        is_async=True,
        get_many="await multi_get(keys)",
        set_many=f"await multi_set(list(mapping.items()), ttl={ttl})",
        close=cache.close,
    )


def django(url: str, ttl: int) -> Calls:
    """Django's Redis cache: its asyncio methods send each call to a thread."""
    cache = configured_django(url, ttl)
    return Calls(
        {
            **{"get": cache.aget, "set": cache.aset},
            **{"get_many": cache.aget_many, "set_many": cache.aset_many},
        },
        "await get(key)",
        "await set(key, value)",
        is_async=True,
        get_many="await get_many(keys)",
        set_many="await set_many(mapping)",
        close=cache.aclose,
    )
