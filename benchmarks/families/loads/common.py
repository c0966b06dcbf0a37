"""Crowds: many callers, of one kind or both, who want one value at once."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

LOADING = 0.05
"""How long a loader takes, in seconds."""


@dataclass
class Loaders:
    """A loader of each kind, which take their time and count their calls.

    Attributes:
        calls: how many there were.
        failing: how many calls raise in the end.
        go: set when their time begins.
    """

    calls: int = 0
    failing: int = 0
    go: threading.Event = field(default_factory=threading.Event)

    def load(self) -> str:
        """Load, blocking."""
        self.calls += 1
        number = self.calls
        self.go.wait()
        time.sleep(LOADING)
        return self._end(number)

    async def aload(self) -> str:
        """Load, in a coroutine."""
        self.calls += 1
        number = self.calls
        if not self.go.is_set():
            await asyncio.to_thread(self.go.wait)
        await asyncio.sleep(LOADING)
        return self._end(number)

    def _end(self, number: int) -> str:
        if number <= self.failing:
            raise OSError("the source is down")
        return "loaded"


class Crowd:
    """Callers who all begin at once: so many tasks of one event loop, and so many threads.

    Args:
        tasks: how many tasks.
        threads: how many threads.

    Attributes:
        begun: how many of them have called by now.
    """

    def __init__(self, tasks: int, threads: int) -> None:
        self.tasks = tasks
        self.threads = threads
        self.begun = 0
        self._runner = asyncio.Runner()
        self._outcomes: list[Any] = []
        self._go = threading.Event()

    def run(self, call: Callable[[], Any], acall: Callable[[], Any]) -> tuple[float, list[Any]]:
        """Have each call.

        Args:
            call: what threads call.
            acall: what tasks await.

        Returns:
            When they began, and what each got, exceptions among it, in no order.
        """
        self.begun, self._outcomes = 0, []
        self._go.clear()
        workers = [threading.Thread(target=self._work, args=[call]) for _ in range(self.threads)]
        for each in workers:
            each.start()
        began = self._runner.run(self._gathered(acall))
        for each in workers:
            each.join()
        return began, self._outcomes

    def _work(self, call: Callable[[], Any]) -> None:
        self._go.wait()
        self.begun += 1
        try:
            self._outcomes.append(call())
        except Exception as error:
            self._outcomes.append(error)

    async def _gathered(self, acall: Callable[[], Any]) -> float:
        began = time.perf_counter()
        self._go.set()
        calls = [acall() for _ in range(self.tasks)]
        self.begun += self.tasks
        self._outcomes += await asyncio.gather(*calls, return_exceptions=True)
        return began

    def close(self) -> None:
        """Close the event loop."""
        self._runner.close()
