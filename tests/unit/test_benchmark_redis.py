"""The family redis: its servers, its adapters, what it counts. Nothing is timed here.

Of those who are compared, ours and redis-py alone take part: the others are not installed.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
RAISING = """
import asyncio
from families.redis.coroutines import Failures
from harness.loops import Calls

table = {}

async def get(key):
    return table.get(key)

async def put(key, value):
    await asyncio.sleep(0)
    if key == "refused":
        raise OSError
    if key != "lost":
        table[key] = value

names = {"get": get, "put": put}
calls = Calls(names, "await get(key)", "await put(key, value)", is_async=True)
"""
MEASURING = """
import os
from dataclasses import replace
from families.redis import WORKS
from families.redis.common import CLUSTER, OURS, RAW_ASYNC, SERVER
from harness.model import Mode
from harness.redis_servers import running_cluster, running_server
from harness.rounds import measure

def measured(name):
    work = next(work for work in WORKS if work.name == name)
    known = ("symphra_cache", "raw", "redis")
    some = tuple(one for one in work.contestants if one.name.startswith(known))
    return measure("redis", replace(work, contestants=some, rounds=(1, 1)), Mode("tiny", 1, 1))

def shown(*names):
    for name in names:
        found = measured(name)
        for one in found.work.contestants:
            print(name, one.name, "ran" if one.name in found.rounds else found.absent[one.name])
"""


def shown(program: str, timeout: float = 60) -> list[str]:
    """Run a program beside the harness; return what it prints."""
    told = subprocess.run(
        [sys.executable, "-c", program],
        cwd=BENCHMARKS,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    return told.stdout.splitlines()


def listens(address: str) -> bool:
    """Tell whether somebody listens at an address."""
    host, _, port = address.partition(":")
    with closing(socket.socket()) as knocking:
        return knocking.connect_ex((host, int(port))) == 0


def wait_for_silence(address: str) -> None:
    """Wait until nobody listens any more."""
    end = time.monotonic() + 20
    while listens(address):
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_server_ends_with_its_run() -> None:
    (address,) = shown("""
from harness.redis_servers import connected, running_server
with running_server() as address:
    assert connected(address, database=1023).set("key", 1)
    print(address)
""")
    wait_for_silence(address)


def test_a_server_ends_with_a_run_that_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # for what it leaves behind
    program = """
import time
from harness.redis_servers import running_server
with running_server() as address:
    print(address, flush=True)
    time.sleep(60)
"""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, cwd=BENCHMARKS, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        address = run.stdout.readline().strip()
        assert listens(address)
        run.send_signal(signal.SIGKILL)
    wait_for_silence(address)


def test_a_port_that_somebody_took_is_left_to_him() -> None:
    first, second = shown("""
from harness import redis_servers
with redis_servers.running_server() as first:
    ports = [redis_servers.free_port(), int(first.partition(":")[2])]
    redis_servers.free_port = ports.pop
    with redis_servers.running_server() as second:
        print(first, second, sep="\\n")
""")
    assert first != second


def test_a_cluster_serves_all_slots() -> None:
    lines = shown("""
from harness.redis_servers import connected, running_cluster
with running_cluster() as addresses:
    for address in addresses:
        told = connected(address).execute_command("CLUSTER INFO")
        print(told["cluster_state"], told["cluster_slots_ok"], told["cluster_size"])
""")
    assert lines == ["ok 16384 3"] * 3


def test_failed_tasks_are_counted_and_so_are_those_whose_keys_are_lost() -> None:
    lines = shown(
        RAISING
        + """
shares = [[("a", 1), ("b", 2)], [("c", 3), ("refused", 4)], [("lost", 5), ("d", 6)], [("e", 7)]]
counter = Failures(calls, shares)
print(counter.run(1), counter.run(2), sorted(table))
counter.close()
"""
    )
    assert lines == ["2.0 4.0 ['a', 'b', 'c', 'd', 'e']"]


def test_every_contestant_has_a_database_of_its_own() -> None:
    (line,) = shown("""
from families.redis import WORKS, common
from harness.redis_servers import OPTIONS
taken = next(common._numbers)
print(taken == sum(len(work.contestants) for work in WORKS), taken <= OPTIONS["databases"])
""")
    assert line == "True True"


def test_ours_and_redis_py_run_on_one_server() -> None:
    lines = shown(
        MEASURING
        + """
with running_server() as address:
    os.environ[SERVER] = address
    shown("set-dict", "threads-16", "aget", "set-many", "aset-many")
"""
    )
    assert [line.removesuffix(" ran") for line in lines] == [
        *("set-dict symphra_cache", "set-dict raw redis-py", "set-dict redis-py and ormsgpack"),
        *("threads-16 symphra_cache", "threads-16 raw redis-py"),
        *("aget symphra_cache", "aget raw redis.asyncio"),
        "aget raw redis.asyncio, 50 connections",
        *("set-many symphra_cache", "set-many raw redis-py", "set-many raw redis-py, MSET"),
        *("aset-many symphra_cache", "aset-many raw redis.asyncio"),
    ]


def test_the_near_cache_runs_and_a_missing_cluster_is_told() -> None:
    lines = shown(
        MEASURING
        + """
with running_server() as address:
    os.environ[SERVER] = address
    shown("near-aget", "cluster-get")
"""
    )
    assert lines == [
        "near-aget symphra_cache, near cache ran",
        *("near-aget symphra_cache memory ran", "near-aget symphra_cache ran"),
        "cluster-get symphra_cache there is no cluster",
        "cluster-get redis-py RedisCluster there is no cluster",
    ]


def test_ours_and_redis_py_run_on_a_cluster() -> None:
    lines = shown(
        MEASURING
        + """
with running_server() as address, running_cluster() as addresses:
    os.environ[SERVER], os.environ[CLUSTER] = address, ",".join(addresses)
    shown("cluster-aget", "cluster-set-many")
"""
    )
    assert lines == [
        *("cluster-aget symphra_cache ran", "cluster-aget redis.asyncio RedisCluster ran"),
        *("cluster-set-many symphra_cache ran", "cluster-set-many redis-py RedisCluster ran"),
    ]


def test_a_thousand_tasks_on_default_settings() -> None:
    (line,) = shown(
        MEASURING
        + """
with running_server() as address:
    os.environ[SERVER] = address
    found = measured("failures")
print(found.rounds[OURS][0], found.rounds[RAW_ASYNC][0] > 0)
"""
    )
    assert line == "0.0 True"
