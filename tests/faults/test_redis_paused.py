"""The server is stopped and answers nobody, though its connections stay: the circuit breaker."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from lives import Lives
from memory_checks import LONG
from redis_load import FACES, Load, longest, threads_left
from redis_servers import running_server
from symphra_cache import CacheManager
from symphra_cache.backends import RedisBackend
from tcp_proxy import running_proxy

if TYPE_CHECKING:
    from pathlib import Path

STOPPED = 5.0 if LONG else 2.5
ROUNDS = 5 if LONG else 1
TIMEOUT = 0.5
GRACE = 0.05  # by which a call may be longer than its time-out; a busy machine takes more
QUICK = TIMEOUT / 5  # what fails faster has not waited for the server
PATIENCE = 20

pytestmark = pytest.mark.timeout(300)


class Stop:
    """What the calls of a load did while the server was stopped, and after it."""

    def __init__(self, load: Load, began: float, ended: float) -> None:
        found = load.wait_for_success(ended, PATIENCE)
        self.recovery = max(found.values()) - ended
        self.calls = [each for each in list(load.outcomes) if began < each.ended < ended]
        failures = [each for each in self.calls if each.failed]
        quick = [each.ended for each in failures if each.seconds < QUICK]
        assert quick, "every call waited for its time-out"
        self.opened = min(quick)
        # Those that had begun before it opened wait on.
        later = [each for each in failures if each.began > self.opened + QUICK]
        self.waited = [each for each in later if each.seconds > TIMEOUT / 2]
        self.refused = len(later) - len(self.waited)


def test_a_stopped_server_costs_few_calls_their_time_out(tmp_path: Path) -> None:
    lives = Lives(tmp_path / "lives", Load.registers_of())
    stops: list[Stop] = []
    probes = seconds = 0.0
    with running_server() as server, running_proxy(server.address) as proxy:
        backend = RedisBackend(proxy.url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT)
        with CacheManager(backend) as cache, Load(cache, lambda _: lives) as load:
            for _ in range(ROUNDS):
                load.run(0.5)
                server.pause()
                began = time.monotonic()
                load.run(STOPPED)
                ended = time.monotonic()
                server.resume()
                stops.append(stop := Stop(load, began, ended))
                settled = stop.opened + QUICK
                seconds += ended - settled
                probes += sum(settled < at < ended for at in list(proxy.arrivals))
                load.run(1.0)
    calls = [each for stop in stops for each in stop.calls]
    print(
        f"\n{ROUNDS} × {STOPPED} s: longest call {longest(calls):.3f} s (goal {TIMEOUT + GRACE}), "
        f"{sum(stop.refused for stop in stops)} refused at once, "
        f"{sum(len(stop.waited) for stop in stops)} waited; {probes / seconds:.2f} probes a second "
        f"(goal 1); both faces again after {max(stop.recovery for stop in stops):.3f} s (goal 1)"
    )
    assert {each.face for each in calls if each.failed} == set(FACES)
    assert longest(calls) < 10 * TIMEOUT
    assert probes <= 3 * seconds + 2
    assert sum(stop.refused for stop in stops) > 10 * sum(len(stop.waited) for stop in stops)
    assert not threads_left()
