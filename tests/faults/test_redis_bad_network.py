"""A network that passes bytes on one by one, late, or swallows them: no answer goes astray."""

from __future__ import annotations

import time
from random import Random
from typing import TYPE_CHECKING

import pytest

from lives import Lives
from memory_checks import LONG
from redis_load import FACES, Load, longest, threads_left
from redis_servers import shared_server
from symphra_cache import CacheManager
from symphra_cache.backends import RedisBackend
from tcp_proxy import running_proxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tcp_proxy import Direction, TCPProxy

SECONDS = 8 if LONG else 1.5
ROUNDS = 5 if LONG else 1
CUTS = 1_000 if LONG else 60
LATENCY = 0.1  # each way
PATIENT = 20.0
TIMEOUT = 0.3
GRACE = 0.05  # by which a call may be longer than its time-out; a busy machine takes more

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def proxy() -> Iterator[TCPProxy]:
    with running_proxy(shared_server().fresh().address) as proxy:
        yield proxy


@pytest.fixture
def lives(tmp_path: Path) -> Lives:
    return Lives(tmp_path / "lives", Load.registers_of())


def behind(proxy: TCPProxy, timeout: float) -> CacheManager:
    return CacheManager(
        RedisBackend(proxy.url, socket_timeout=timeout, socket_connect_timeout=timeout)
    )


def test_answers_that_come_byte_by_byte_are_put_together(proxy: TCPProxy, lives: Lives) -> None:
    proxy.fragments = True
    with behind(proxy, PATIENT) as cache, Load(cache, lambda _: lives) as load:
        load.run(SECONDS)
    print(f"\n{len(load.outcomes)} calls byte by byte, {sum(proxy.passed.values())} bytes")
    assert not load.errors
    assert {outcome.face for outcome in load.outcomes} == set(FACES)
    assert not threads_left()


def test_answers_that_come_late_find_their_calls(proxy: TCPProxy, lives: Lives) -> None:
    proxy.delay = LATENCY
    with behind(proxy, PATIENT) as cache, Load(cache, lambda _: lives) as load:
        load.run(2 * SECONDS)
    alone = 2 * SECONDS / (2 * LATENCY)  # calls that one connection could have made
    print(f"\n{len(load.outcomes)} calls with {LATENCY * 1000:.0f} ms each way, alone {alone:.0f}")
    assert not load.errors
    assert {outcome.face for outcome in load.outcomes} == set(FACES)
    # They wait at the same time, not one after another.
    assert len(load.outcomes) > 2 * alone


def test_connections_that_break_under_load_cost_one_call_each(
    proxy: TCPProxy, lives: Lives
) -> None:
    chance = Random(1)
    directions: list[Direction] = ["request", "reply"]
    with behind(proxy, PATIENT) as cache, Load(cache, lambda _: lives) as load:
        load.run(SECONDS / 5)
        for _ in range(CUTS):
            proxy.cut(chance.choice(directions), chance.randrange(3_000))
            load.run(0.02)
        proxy.heal()
        load.wait_for_success(time.monotonic(), PATIENT)
    failures = load.failures()
    print(
        f"\n{CUTS} cuts under load: {len(load.outcomes)} calls, {len(failures)} failed, "
        f"longest {longest(load.outcomes):.3f} s"
    )
    assert {failure.face for failure in failures} == set(FACES)
    assert len(failures) <= CUTS  # one each, or none: none was under way, or all had passed


@pytest.mark.parametrize("how", ["swallowed", "later than the time-out"])
def test_answers_that_never_come_cost_a_time_out_and_disturb_no_later_call(
    proxy: TCPProxy, lives: Lives, how: str
) -> None:
    took: list[float] = []
    with behind(proxy, TIMEOUT) as cache, Load(cache, lambda _: lives) as load:
        for _ in range(ROUNDS):
            load.wait_for_success(time.monotonic(), PATIENT)
            if how == "swallowed":
                proxy.silent = True
            else:
                proxy.delay = 2 * TIMEOUT
            load.run(4 * TIMEOUT)
            proxy.heal()
            healed = time.monotonic()
            took.append(max(load.wait_for_success(healed, PATIENT).values()) - healed)
            load.run(4 * TIMEOUT)
    failures = load.failures()
    print(
        f"\n{how}: {len(load.outcomes)} calls, {len(failures)} failed, longest "
        f"{longest(load.outcomes):.3f} s (goal {TIMEOUT + GRACE}), both faces again after "
        f"{max(took) * 1000:.0f} ms"
    )
    assert {failure.face for failure in failures} == set(FACES)
    assert longest(load.outcomes) < 10 * TIMEOUT
