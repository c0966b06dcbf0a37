"""What differs between the faces, in pairs: tasks on the asyncio face, threads on the other."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Callable, Iterable

    from symphra_cache.testing import FakeClock

T = TypeVar("T")

TASKS = 50
THREADS = 20
_PATIENCE = 30


async def arace(call: Callable[[int], Awaitable[T]]) -> list[T]:
    """Call with 0, 1, 2, … from many tasks at once; return the answers in that order."""
    return await asyncio.gather(*(call(who) for who in range(TASKS)))


def race(call: Callable[[int], T]) -> list[T]:
    """Call with 0, 1, 2, … from many threads at once; return the answers in that order."""
    together = threading.Barrier(THREADS)

    def run(who: int) -> T:
        together.wait(_PATIENCE)
        return call(who)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # so that threads take turns inside an operation, too
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            calls = [pool.submit(run, who) for who in range(THREADS)]
            return [each.result(_PATIENCE) for each in calls]
    finally:
        sys.setswitchinterval(interval)


class AsyncSpawned:
    """A task in the background."""

    def __init__(self, call: Callable[[], Awaitable[Any]]) -> None:
        self._task = asyncio.ensure_future(call())

    async def afinish(self) -> Any:
        """Wait for it and return its answer."""
        return await asyncio.wait_for(self._task, _PATIENCE)


class SyncSpawned:
    """A thread in the background."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._future = self._pool.submit(call)

    def finish(self) -> Any:
        """Wait for it and return its answer."""
        with self._pool:
            return self._future.result(_PATIENCE)


async def aspawn(call: Callable[[], Awaitable[Any]]) -> AsyncSpawned:
    """Run something in the background."""
    return AsyncSpawned(call)


def spawn(call: Callable[[], Any]) -> SyncSpawned:
    """Run something in the background."""
    return SyncSpawned(call)


async def asleep(seconds: float) -> None:
    """Let others run."""
    await asyncio.sleep(seconds)


def sleep(seconds: float) -> None:
    """Let others run."""
    time.sleep(seconds)


async def acollect(items: AsyncIterable[T]) -> list[T]:
    """Return everything that an iterator gives."""
    return [item async for item in items]


def collect(items: Iterable[T]) -> list[T]:
    """Return everything that an iterator gives."""
    return list(items)


async def atake(items: AsyncIterable[T], number: int) -> list[T]:
    """Return what an iterator gives next, at most so many."""
    taken: list[T] = []
    async for item in items:
        taken.append(item)
        if len(taken) == number:
            break
    return taken


def take(items: Iterable[T], number: int) -> list[T]:
    """Return what an iterator gives next, at most so many."""
    return list(islice(items, number))


class SteppedClock:
    """Passes the time of a backend that has a fake clock."""

    def __init__(self, fake: FakeClock) -> None:
        self.fake = fake

    async def aadvance(self, seconds: float) -> None:
        """Let time pass."""
        self.fake.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.fake.advance(seconds)
