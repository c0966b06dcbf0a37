"""Contestants at work: in one thread, on an event loop, in several threads or tasks."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from harness.loops import Calls

Timed = tuple[int, int]


class Loop:
    """Runs a compiled loop over chunks of keys, endlessly repeated.

    Args:
        calls: how to call the cache.
        timed: one of the compiled loops of ``calls``.
        chunks: equally long lists; a pass is one of them.
        value: what is set.
        pairs: (key, value) that are stored to begin with.
        held: keys that must be found before the first round and after the last.
        each: how many operations an item of a chunk is.
    """

    def __init__(
        self,
        calls: Calls,
        timed: Callable[..., Any],
        chunks: Sequence[Sequence[object]],
        value: object = None,
        pairs: Iterable[tuple[str, object]] = (),
        held: Sequence[str] = (),
        each: int = 1,
    ) -> None:
        self.operations = len(chunks[0]) * each
        self._calls = calls
        self._timed = timed
        self._chunks = cycle(chunks)
        self._value = value
        self._held = held
        self._runner = asyncio.Runner() if calls.is_async else None
        self.call(calls.filled(), pairs)
        self._require_held()

    def call(self, function: Callable[..., Any], *arguments: object) -> Any:
        """Call a compiled loop; on the event loop of this contestant if it is a coroutine."""
        result = function(*arguments)
        return self._runner.run(result) if self._runner else result

    def run(self, passes: int) -> float:
        """Time so many passes."""
        started, ended = self.call(self._timed, self._chunks, passes, self._value)
        return ended - started

    def close(self) -> None:
        """Check that nothing was lost on the way."""
        try:
            self._require_held()
        finally:
            if self._calls.close:
                self.call(self._calls.close)
            if self._runner:
                self._runner.close()

    def _require_held(self) -> None:
        found = self.call(self._calls.found(), self._held)
        lost = found.count(None)
        if lost:
            raise RuntimeError(f"{lost} of {len(found)} keys are not in the cache")


class Crowd(Loop):
    """The same several times at once on one cache, each time a piece further on in the chunks.

    A slot lasts from the first one's start to the last one's end; its operations are those of
    all of them.
    """

    def __init__(self, count: int, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        chunks = arguments[2]
        self._pieces = [rotated(chunks, n * len(chunks) // count) for n in range(count)]

    def run(self, passes: int) -> float:
        """Time so many passes, shared out evenly; at least one for each."""
        count = len(self._pieces)
        share = max(1, passes // count)
        times = self._times(share)
        took = max(ended for _, ended in times) - min(started for started, _ in times)
        return took * passes / (share * count)

    def _times(self, share: int) -> list[Timed]:
        raise NotImplementedError


class Threads(Crowd):
    """In several threads."""

    def _times(self, share: int) -> list[Timed]:
        ready = threading.Barrier(len(self._pieces))

        def work(chunks: Iterable[object]) -> Timed:
            ready.wait()
            return self._timed(chunks, share, self._value)

        with ThreadPoolExecutor(len(self._pieces)) as threads:
            return list(threads.map(work, self._pieces))


class Tasks(Crowd):
    """In several tasks of one event loop, each awaiting one call after another."""

    def _times(self, share: int) -> list[Timed]:
        return self.call(self._gathered, share)

    async def _gathered(self, share: int) -> list[Timed]:
        work = (self._timed(chunks, share, self._value) for chunks in self._pieces)
        return await asyncio.gather(*work)


class Reopened:
    """Opens the cache anew for every pass, so that it remembers nothing of the one before.

    Opening is not timed, nor is the first read after it.

    Args:
        opened: opens it.
        compiled: gives the timed loop of what was opened.
        chunks: as with `Loop`.
        first: the key that is read first, in no chunk.
        each: as with `Loop`.
    """

    def __init__(
        self,
        opened: Callable[[], Calls],
        compiled: Callable[[Calls], Callable[..., Any]],
        chunks: Sequence[Sequence[object]],
        first: str,
        each: int = 1,
    ) -> None:
        self.operations = len(chunks[0]) * each
        self._opened = opened
        self._compiled = compiled
        self._chunks = cycle(chunks)
        self._first = first

    def run(self, passes: int) -> float:
        """Time so many passes."""
        return sum(self._pass() for _ in range(passes))

    def _pass(self) -> int:
        calls = self._opened()
        try:
            timed = self._compiled(calls)
            if calls.found()([self._first]) == [None]:
                raise RuntimeError("a key is not in the cache")
            started, ended = timed(self._chunks, 1, None)
        finally:
            if calls.close:
                calls.close()
        return ended - started

    def close(self) -> None:
        """Hold nothing."""


class Once:
    """Calls a function once in a slot; what it returns is the figure."""

    operations = 1

    def __init__(self, figure: Callable[[], float]) -> None:
        self._figure = figure

    def run(self, passes: int) -> float:
        """Return the sum of so many figures."""
        return sum(self._figure() for _ in range(passes))

    def close(self) -> None:
        """Hold nothing."""


def rotated(chunks: Sequence[object], start: int) -> Iterable[object]:
    """Return the endless repetition that begins at a position."""
    return cycle([*chunks[start:], *chunks[:start]])


def chunked(items: Sequence[object], size: int) -> list[Sequence[object]]:
    """Cut into lists of one size; what is left over is left out."""
    return [items[start : start + size] for start in range(0, len(items) - size + 1, size)]
