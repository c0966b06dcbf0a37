"""The server is killed and comes back empty, again and again, while threads and tasks use it."""

from __future__ import annotations

import gc
import time
from random import Random
from typing import TYPE_CHECKING

import pytest

from lives import Lives
from memory_checks import LONG
from processes import descriptors
from redis_load import FACES, Load, longest, threads_left
from redis_servers import running_server
from symphra_cache import CacheManager
from symphra_cache.backends import RedisBackend

if TYPE_CHECKING:
    from pathlib import Path

    from redis_servers import RedisServer

KILLS = 20 if LONG else 4
SECONDS = 1.0 if LONG else 0.3  # of each life, at least
DEAD = 1.0 if LONG else 0.2  # between two lives, at the most
PATIENCE = 20  # seconds until a success; half a one is the goal

pytestmark = pytest.mark.timeout(300)


def restart(server: RedisServer, load: Load, lives: Lives, dead: float) -> dict[str, float]:
    """Kill the server and start it again; return by face how soon a call succeeded."""
    server.kill()
    lives.next()
    killed = time.monotonic()
    load.run(dead)
    server.start()
    opened = time.monotonic()
    found = load.wait_for_success(killed, PATIENCE)
    load.run(SECONDS)
    return {face: max(0.0, at - opened) for face, at in found.items()}


def test_a_server_that_dies_and_comes_back_empty_gives_no_wrong_value(tmp_path: Path) -> None:
    lives = Lives(tmp_path / "lives", Load.registers_of())
    chance, before = Random(1), descriptors()
    soonest: dict[str, list[float]] = {face: [] for face in FACES}
    with running_server() as server:
        cache = CacheManager(RedisBackend(server.url))
        with Load(cache, lambda _: lives) as load:
            load.run(2 * SECONDS)  # until all connections are there
            connected = descriptors()
            for _ in range(KILLS):
                took = restart(server, load, lives, chance.uniform(0, DEAD))
                for face in FACES:
                    soonest[face].append(took[face])
            assert descriptors() <= connected
        assert cache.ping().ok
        cache.close()
        assert server.connections() == 0
    gc.collect()
    print(
        f"\n{KILLS} kills, {len(load.outcomes)} calls, {len(load.failures())} failed, longest "
        f"{longest(load.outcomes):.3f} s; first success after the port opened, at the latest: "
        + ", ".join(f"{face} {max(soonest[face]) * 1000:.0f} ms" for face in FACES)
    )
    assert descriptors() <= before
    assert not threads_left()
    assert load.failures()
