"""One manager on each backend, Redis on a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from redis_servers import RedisServer, shared_server
from symphra_cache import CacheManager
from symphra_cache.backends import FileBackend, MemoryBackend, RedisBackend

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from symphra_cache.backends.base import Backend


@pytest.fixture
def server() -> RedisServer:
    return shared_server().fresh()


@pytest.fixture
def redis_cache(server: RedisServer) -> Iterator[CacheManager]:
    with CacheManager(RedisBackend(server.chosen_url)) as manager:
        yield manager


@pytest.fixture(params=["memory", "file", "redis"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CacheManager]:
    backend: Backend
    if request.param == "memory":
        backend = MemoryBackend()
    elif request.param == "file":
        backend = FileBackend(tmp_path / "cache.db")
    else:
        backend = RedisBackend(shared_server().fresh().chosen_url)
    with CacheManager(backend) as manager:
        yield manager
