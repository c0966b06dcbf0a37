"""What is known of loads under way, and that nothing is left of them."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from symphra_cache import CacheManager

PATIENCE = 20
"""Seconds, for what takes milliseconds."""


def assert_nothing_is_left(cache: CacheManager) -> None:
    """Check that the registry of loads is empty."""
    flights = cache._loads.flights
    assert not flights.live
    assert not flights._joinable
    assert not flights.writing
    assert not flights._sweeps


def waiting(cache: CacheManager, *keys: str) -> int:
    """Return how many callers wait for loads, of all keys or of some."""
    live = list(cache._loads.flights.live.items())
    return sum(
        len(one.waiting)
        for (_, key), flights in live
        for one in list(flights)
        if not keys or key in keys
    )


def until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.001)


async def auntil(condition: Callable[[], object]) -> None:
    """Let other tasks run until a condition holds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "not in time"
        await asyncio.sleep(0)


def in_time(call: Callable[[], Any]) -> Any:
    """Call in a thread; fail if it hangs, and let the hanging thread be."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(call()), daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive(), "hangs"
    return found[0]
