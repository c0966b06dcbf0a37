"""What becomes of those who wait when something happens to who loads for them all."""

from __future__ import annotations

import asyncio
import threading
import time
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

from families.loads.common import LOADING, Crowd, Loaders
from harness.model import Contestant, Work
from symphra_cache import CacheManager
from symphra_cache.backends import MemoryBackend

if TYPE_CHECKING:
    from collections.abc import Callable

# How long those who have called get until all of them wait, in seconds each.
SETTLING = 0.0005


class Leader:
    """Loads before all others, in a thread or an event loop of his own, until something happens.

    Args:
        cache: for which.
        key: what he loads.
    """

    def __init__(self, cache: CacheManager, key: str) -> None:
        self._cache = cache
        self._key = key
        self._loads = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[object] | None = None
        self._thread = threading.Thread(target=self._target())

    def begin(self) -> None:
        """Have him load."""
        self._thread.start()
        self._loads.wait()

    def end(self) -> None:
        """Have it happen."""
        raise NotImplementedError

    def _target(self) -> Callable[[], object]:
        return self._run_loop

    def _run_loop(self) -> None:
        self._task = self._loop.create_task(self._cache.aget_or_set(self._key, self._aload))
        self._loop.run_forever()

    async def _aload(self) -> None:
        self._loads.set()
        await asyncio.Event().wait()

    def _close_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Cancelled(Leader):
    """His task is cancelled."""

    def end(self) -> None:
        """Have it happen."""
        assert self._task is not None
        self._loop.call_soon_threadsafe(self._task.cancel)

    def gone(self) -> None:
        """Clear up."""
        self._close_loop()


class Closed(Leader):
    """His event loop is closed while he waits in it."""

    def end(self) -> None:
        """Have it happen."""
        self._loop.set_exception_handler(lambda loop, context: None)  # of the task that is left
        self._close_loop()

    def gone(self) -> None:
        """Nothing is left."""


class Dead(Leader):
    """His thread ends in the middle of his loader."""

    def _target(self) -> Callable[[], object]:
        self._ends = threading.Event()
        return partial(self._cache.get_or_set, self._key, self._exit)

    def _exit(self) -> None:
        self._loads.set()
        self._ends.wait()
        raise SystemExit

    def end(self) -> None:
        """Have it happen."""
        self._ends.set()

    def gone(self) -> None:
        """Clear up."""
        self._thread.join()
        self._loop.close()


class Stampede:
    """A crowd that misses one key. A figure is what it waits longer than the loader takes, in ms.

    Counted from when all wait, and from when something happens to who leads.

    Args:
        tasks: how many callers are tasks of one event loop.
        threads: how many are threads.
        leader: who leads them, if it is none of them.
        failing: whether the loader raises; all get its error then.
    """

    operations = 1

    def __init__(
        self, tasks: int, threads: int, leader: type[Any] | None, failing: bool = False
    ) -> None:
        self._crowd = Crowd(tasks, threads)
        self._count = tasks + threads
        self._cache = CacheManager(MemoryBackend())
        self._leader = leader
        self._failing = int(failing)
        self._happened = 0.0
        self._keys = 0

    def run(self, passes: int) -> float:
        """Return the sum of so many figures."""
        return sum(self._figure() for _ in range(passes))

    def _figure(self) -> float:
        self._keys += 1
        key, loaders = f"user:{self._keys}", Loaders(failing=self._failing)
        leader = self._leader(self._cache, key) if self._leader else None
        helper = threading.Thread(target=self._happens, args=[leader, loaders])
        if leader is not None:
            leader.begin()
        helper.start()
        _, outcomes = self._crowd.run(
            partial(self._cache.get_or_set, key, loaders.load),
            partial(self._cache.aget_or_set, key, loaders.aload),
        )
        ended = time.perf_counter()
        helper.join()
        if leader is not None:
            leader.gone()
        self._check(key, loaders, outcomes)
        return (ended - self._happened - LOADING) * 1_000

    def _happens(self, leader: Any, loaders: Loaders) -> None:
        """When all wait, have it happen, and have the loader's time begin."""
        while self._crowd.begun < self._count:
            time.sleep(0.001)
        time.sleep(SETTLING * self._count)
        self._happened = time.perf_counter()
        loaders.go.set()
        if leader is not None:
            leader.end()

    def _check(self, key: str, loaders: Loaders, outcomes: list[Any]) -> None:
        """Have a figure count only if the loader was called once, and all got what it gave."""
        expected = "the source is down" if self._failing else "loaded"
        found = {*map(str, outcomes)}
        if loaders.calls != 1 or found != {expected} or len(outcomes) != self._count:
            raise RuntimeError(f"{loaders.calls} calls of the loader, outcomes {found}")
        if self._cache.get(key) != (None if self._failing else "loaded"):
            raise RuntimeError("the cache has what it must not, or lacks what it should have")

    def close(self) -> None:
        """Close the cache."""
        self._cache.close()
        self._crowd.close()


_COUNTS = (10, 100, 1_000)
_KINDS = {"tasks": (1.0, 0.0), "threads": (0.0, 1.0), "of both": (0.5, 0.5)}

# What happens, in words; who leads; whether the loader raises.
CASES: tuple[tuple[str, str, type[Leader] | None, bool], ...] = (
    ("stampede", "nothing happens", None, False),
    ("stampede-raising", "the loader raises", None, True),
    ("stampede-cancelled", "the leading task is cancelled", Cancelled, False),
    ("stampede-closed", "the leader's event loop is closed", Closed, False),
    ("stampede-dead", "the leading thread ends", Dead, False),
)


def _contestants(leader: type[Leader] | None, failing: bool) -> tuple[Contestant, ...]:
    return tuple(
        Contestant(
            f"{count:,} {kind}",
            partial(Stampede, int(tasks * count), int(threads * count), leader, failing),
        )
        for count, (kind, (tasks, threads)) in product(_COUNTS, _KINDS.items())
    )


STAMPEDES = tuple(
    Work(
        name,
        f"What callers at once wait beyond the {LOADING * 1_000:.0f} ms of their one load: {what}",
        _contestants(leader, failing),
        unit="ms",
        calibrated=False,
        rounds=(3, 20),
    )
    for name, what, leader, failing in CASES
)
