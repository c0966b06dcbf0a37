"""Backends under faults, and what must be true of them afterwards, as in the contract suite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from contract.backends import KITS
from faulty import on_a_slow_machine
from file_processes import Child
from loads_in_outages import LOCKER, LockedFile, PausedServer, StoppedServer, checked
from memory_checks import LONG
from redis_servers import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from loads_in_outages import World
    from symphra_cache import CacheManager

# A kit of the contract suite, and options of its backend. To add one: a line here.
BACKENDS: dict[str, tuple[str, dict[str, Any]]] = {
    "memory": ("memory", {}),
    "file": ("file", {}),
    "file-cold-bounded": ("file", {"hot_size": 0, "max_size": 100_000}),
    "redis": ("redis", {}),
    "redis-near": ("redis-near", {}),
}
if LONG:  # six servers for each call take their time
    BACKENDS["redis-cluster"] = ("redis-cluster", {})
    BACKENDS["redis-near-cluster"] = ("redis-near-cluster", {})


@pytest.fixture(params=BACKENDS)
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CacheManager]:
    """A manager on each backend in turn, checked and closed afterwards."""
    name, options = BACKENDS[request.param]
    kit = KITS[name](tmp_path)
    yield kit.open(kit.make(**options))
    kit.finish()


@pytest.fixture(params=["raise", "degrade"])
def mode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Each of what ``on_outage`` may be."""
    on_a_slow_machine(monkeypatch)
    return request.param


@pytest.fixture(params=["stopped", "paused", "locked"])
def world(request: pytest.FixtureRequest, mode: Any, tmp_path: Path) -> Iterator[World]:
    """A cache whose backend can go and come back; see `loads_in_outages`."""
    if request.param == "locked":
        with Child(LOCKER) as child:
            yield from checked(LockedFile(tmp_path / "cache.db", child, mode))
        return
    kind = StoppedServer if request.param == "stopped" else PausedServer
    with running_server() as server:
        yield from checked(kind(server, mode))
