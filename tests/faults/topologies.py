"""URLs of servers that sentinels name, and of clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from redis_cluster import RedisCluster
    from redis_sentinel import RedisSentinels


def url_of_sentinels(sentinels: RedisSentinels) -> str:
    return f"redis+sentinel://{_hosts(sentinels.addresses)}/{sentinels.name}"


def url_of_cluster(cluster: RedisCluster) -> str:
    return f"redis+cluster://{_hosts(cluster.addresses)}"


def _hosts(addresses: Iterable[tuple[str, int]]) -> str:
    return ",".join(f"{host}:{port}" for host, port in addresses)
