"""Peers with a blocking face, on a Redis server; each is given the URL of a database of its own.

All of them stand on redis-py, and so on hiredis. Their time to live is in seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.loops import Calls

if TYPE_CHECKING:
    from collections.abc import Iterable


def raw(url: str, ttl: int, **options: object) -> Calls:
    """redis-py alone: `GET`, `SET EX`, `MGET`, and a pipeline of `SET EX`."""
    from redis import Redis

    client = Redis.from_url(url, **options)
    return _called(client, client.mget, ttl, transaction=False)


def raw_cluster(nodes: Iterable[str], ttl: int) -> Calls:
    """redis-py's client for clusters."""
    from redis.cluster import ClusterNode, RedisCluster

    found = [node.split(":") for node in nodes]
    client = RedisCluster(startup_nodes=[ClusterNode(host, int(port)) for host, port in found])
    return _called(client, client.mget_nonatomic, ttl)


def _called(client: Any, get_many: Any, ttl: int, **options: Any) -> Calls:
    pipeline = client.pipeline

    def set_many(mapping: dict[str, Any]) -> None:
        with pipeline(**options) as batch:
            for key, value in mapping.items():
                batch.set(key, value, ex=ttl)
            batch.execute()

    return Calls(
        {"get": client.get, "set": client.set, "get_many": get_many, "set_many": set_many},
        set=f"set(key, value, ex={ttl})",
        get_many="get_many(keys)",
        set_many="set_many(mapping)",
        close=client.close,
    )


def raw_mset(url: str, ttl: int) -> Calls:
    """redis-py, with all entries in one command, which knows no time to live."""
    from redis import Redis

    client = Redis.from_url(url)
    names = {"get": client.get, "set": client.set, "mset": client.mset}
    return Calls(names, set_many="mset(mapping)", close=client.close)


def raw_near(url: str, ttl: int) -> Calls:
    """redis-py with its own client-side caching."""
    from redis import Redis
    from redis.cache import CacheConfig

    client = Redis.from_url(url, protocol=3, cache_config=CacheConfig(max_size=10_000))
    put = f"set(key, value, ex={ttl})"
    return Calls({"get": client.get, "set": client.set}, set=put, close=client.close)


def packing(url: str, ttl: int) -> Calls:
    """redis-py with MessagePack around it: what a program without a cache library may do."""
    from ormsgpack import packb, unpackb
    from redis import Redis

    client = Redis.from_url(url)
    return Calls(
        {"get": client.get, "set": client.set, "packb": packb, "unpackb": unpackb},
        "(None if (found := get(key)) is None else unpackb(found))",
        f"set(key, packb(value), ex={ttl})",
        close=client.close,
    )


def django(url: str, ttl: int) -> Calls:
    """Django's Redis cache."""
    cache = configured_django(url, ttl)
    return Calls(
        {
            **{"get": cache.get, "set": cache.set},
            **{"get_many": cache.get_many, "set_many": cache.set_many},
        },
        get_many="get_many(keys)",
        set_many="set_many(mapping)",
        close=cache.close,
    )


def configured_django(url: str, ttl: int) -> Any:
    """Return Django's Redis cache with a time to live for all entries."""
    from django.conf import settings
    from django.core.cache.backends.redis import RedisCache

    if not settings.configured:
        settings.configure()
    return RedisCache(url, {"timeout": ttl})


def dogpile(url: str, ttl: int) -> Calls:
    """A region of dogpile.cache over its Redis backend."""
    from dogpile.cache import make_region
    from dogpile.cache.api import NO_VALUE

    arguments = {"url": url, "redis_expiration_time": ttl}
    region = make_region().configure("dogpile.cache.redis", arguments=arguments)
    return Calls(
        {
            **{"get": region.get, "set": region.set, "NO_VALUE": NO_VALUE},
            **{"get_multi": region.get_multi, "set_multi": region.set_multi},
        },
        "(None if (hit := get(key)) is NO_VALUE else hit)",
        get_many="get_multi(keys)",
        set_many="set_multi(mapping)",
        close=region.backend.writer_client.close,
    )
