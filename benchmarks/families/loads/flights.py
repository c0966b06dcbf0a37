"""R4: many who miss one key at once, while its loader takes its time."""

from __future__ import annotations

import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from families.loads.common import LOADING, Crowd, Loaders
from families.memory.common import TTL
from harness.model import Contestant, Goal, Work
from peers import decorators

if TYPE_CHECKING:
    from collections.abc import Callable

    from peers.decorators import Decorator

OURS = "symphra_cache"
FILE = "symphra_cache, file"

# What is loading, in ms, and what may come on top.
LIMIT = LOADING * 1_000 + 15.0

KEYED = {"key": "user:{user}"}


class Flight:
    """Decorates two functions of one key, and has a crowd call them.

    A figure is the time from when the first began until all have the value, in ms.

    Args:
        decorate: the decorator, of functions of both kinds if the crowd is of both.
        tasks: how many callers are tasks.
        threads: how many are threads.
        calls: how often the loader may be called; ``None``: it does not matter.
    """

    operations = 1

    def __init__(
        self, decorate: Callable[..., Decorator], tasks: int, threads: int, calls: int | None
    ) -> None:
        self._folder = tempfile.TemporaryDirectory()
        is_file = decorate is decorators.symphra_file
        options = {"folder": Path(self._folder.name)} if is_file else {}
        if is_file or decorate is decorators.symphra:
            options |= KEYED
        decorator = decorate(TTL, **options)
        self._loaders = Loaders()
        self._crowd = Crowd(tasks, threads)
        self._calls = calls
        self._users = 0

        def load(user: int) -> str:
            return self._loaders.load()

        async def aload(user: int) -> str:
            return await self._loaders.aload()

        self._load = decorator(load) if threads else load
        self._aload = decorator(aload) if tasks else aload

    def run(self, passes: int) -> float:
        """Return the sum of so many figures."""
        return sum(self._figure() for _ in range(passes))

    def _figure(self) -> float:
        self._loaders = Loaders()
        self._loaders.go.set()
        self._users += 1
        began, outcomes = self._crowd.run(
            partial(self._load, self._users), partial(self._aload, self._users)
        )
        took = time.perf_counter() - began
        calls = self._loaders.calls
        if {*map(str, outcomes)} != {"loaded"} or calls != (self._calls or calls):
            raise RuntimeError(f"{calls} calls of the loader, outcomes {outcomes[:3]}")
        return took * 1_000

    def close(self) -> None:
        """Remove what was written."""
        self._crowd.close()
        self._folder.cleanup()


def _contestants(
    tasks: int, threads: int, **peers: Callable[..., Decorator]
) -> tuple[Contestant, ...]:
    ours = {OURS: decorators.symphra, FILE: decorators.symphra_file}
    return tuple(
        Contestant(name, partial(Flight, decorate, tasks, threads, 1 if name in ours else None))
        for name, decorate in (ours | peers).items()
    )


def _work(name: str, title: str, contestants: tuple[Contestant, ...]) -> Work:
    goals = (Goal("R4", OURS, LIMIT), Goal("R4", FILE, LIMIT))
    title = f"{title} call for one that is missing, its loader takes {LOADING * 1_000:.0f} ms"
    return Work(name, title, contestants, goals, unit="ms", calibrated=False, rounds=(5, 20))


FLIGHTS = (
    _work(
        "flight-tasks",
        "200 tasks",
        _contestants(
            tasks=200,
            threads=0,
            **{
                "async-lru": decorators.async_lru,
                "moka-py": partial(decorators.moka, wait_concurrent=True),
                "cashews": partial(decorators.cashews, lock=True),
                "aiocache": decorators.aiocache_waiting,
            },
        ),
    ),
    _work(
        "flight-threads",
        "32 threads",
        _contestants(
            tasks=0,
            threads=32,
            **{
                "moka-py": partial(decorators.moka, wait_concurrent=True),
                "cachetools, condition": decorators.cachetools_waiting,
                "dogpile.cache": decorators.dogpile,
            },
        ),
    ),
    _work("flight-mixed", "200 tasks and 32 threads", _contestants(tasks=200, threads=32)),
)
