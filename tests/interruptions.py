"""Cancels a call at one of its awaits, in one of three ways."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator


class Interrupted:
    """Awaits a coroutine, and cancels the task that does so at one of its awaits.

    Attributes:
        waits: how often it has waited so far.
    """

    def __init__(
        self, work: Coroutine[Any, Any, Any], place: int, cancel: Callable[[Any], object]
    ) -> None:
        self._work, self._place, self._cancel = work, place, cancel
        self.waits = 0

    def __await__(self) -> Generator[Any, None, Any]:
        error: BaseException | None = None
        while True:
            try:
                waited = self._work.send(None) if error is None else self._work.throw(error)
            except StopIteration as ended:
                return ended.value
            error = None
            self.waits += 1
            if self.waits == self._place:
                self._cancel(waited)
            try:
                yield waited
            except BaseException as thrown:
                error = thrown


def at_once(_: Any) -> None:
    """Cancel the task as it begins to wait."""
    task().cancel()


def a_turn_later(_: Any) -> None:
    """Cancel it while what it waits for is under way."""
    asyncio.get_running_loop().call_soon(task().cancel)


def with_the_answer(waited: Any) -> None:
    """Cancel it when what it waits for is there already, before it runs again."""
    cancelled = task()
    if isinstance(waited, asyncio.Future):
        waited.add_done_callback(lambda _: cancelled.cancel())
    else:
        cancelled.cancel()


def task() -> asyncio.Task[Any]:
    found = asyncio.current_task()
    assert found is not None
    return found


async def awaited(work: Interrupted) -> Any:
    return await work


CANCELS = [at_once, a_turn_later, with_the_answer]
