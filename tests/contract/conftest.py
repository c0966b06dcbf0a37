"""Runs every test of the contract suite on each backend that it applies to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .backends import KITS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from symphra_cache import CacheManager

    from .acompat import SteppedClock
    from .backends import Kit


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "needs(*abilities): run on those backends only that have them, see backends.py"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kit" not in metafunc.fixturenames:
        return
    marks = metafunc.definition.iter_markers("needs")
    needs = frozenset(ability for mark in marks for ability in mark.args)
    kinds = [
        pytest.param(kind, marks=[pytest.mark.slow] if kit.is_slow else [])
        for kind, kit in KITS.items()
        if needs <= kit.can
    ]
    assert kinds, f"no backend has {sorted(needs)}"
    metafunc.parametrize("kit", kinds, indirect=True)


@pytest.fixture
def kit(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kit]:
    """What differs on the backend under test."""
    made = KITS[request.param](tmp_path)
    yield made
    made.finish()


@pytest.fixture
def cache(kit: Kit) -> CacheManager:
    """A manager with nothing but defaults."""
    return kit.open()


@pytest.fixture
def clock(kit: Kit) -> SteppedClock:
    """The time of the backend under test."""
    return kit.clock
