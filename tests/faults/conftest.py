"""Backends under faults, and what must be true of them afterwards, as in the contract suite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from contract.backends import KITS
from memory_checks import LONG

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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
