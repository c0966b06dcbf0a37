"""Threads and tasks that may have to wait for each other, in any mix: both faces side by side."""

from __future__ import annotations

from contextlib import suppress
from contextvars import ContextVar
from threading import Event, get_ident

from symphra_cache._loops import running_loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable
    from contextvars import Token
    from typing import TypeAlias

    from symphra_cache._flights import Flight

    Inside: TypeAlias = "tuple[Flight, ...]"

__all__ = [
    *("NOBODY", "AsyncCaller", "Caller", "SyncCaller", "arung", "blocked", "entered", "left"),
    "rung",
]

# Seconds after which who waits looks whether who leads still can.
_PATIENCE = 0.5

# The loads that the code runs inside of, the innermost last.
_inside: ContextVar[Inside] = ContextVar("symphra_cache_loads", default=())


def _running() -> Inside:
    """Return the loads that the code runs inside of; a task may outlive that which started it."""
    inside = _inside.get()
    return tuple([one for one in inside if not one.is_over]) if inside else inside


class Caller:
    """Who wants a key.

    Attributes:
        inside: the loads that he does it for.
        loop: of his task, ``None`` if he is a thread.
        thread: his.
        waits_for: what he waits for right now; who wants many keys waits for one after the other.
    """

    __slots__ = ("inside", "loop", "thread", "waits_for")

    def __init__(self, loop: asyncio.AbstractEventLoop | None) -> None:
        self.inside: Inside = _running()
        self.loop: asyncio.AbstractEventLoop | None = loop
        self.thread: int = get_ident()
        self.waits_for: Flight | None = None

    @property
    def is_lost(self) -> bool:
        """Whether he can't go on; a thread that ends lets go of what it leads by itself."""
        return self.loop is not None and (self.loop.is_closed() or not self.loop.is_running())

    def wake(self) -> None:
        """Have him look what has become of what he waits for."""
        raise NotImplementedError


blocked: dict[int, SyncCaller] = {}
"""Threads that wait for a load, and who waits there."""

NOBODY = Caller(None)
NOBODY.thread = 0  # none has this number


class SyncCaller(Caller):
    """A thread."""

    __slots__ = ("bell",)

    def __init__(self) -> None:
        super().__init__(None)
        self.bell: Event = Event()

    def wake(self) -> None:
        """Have him look what has become of what he waits for."""
        self.bell.set()


class AsyncCaller(Caller):
    """A task."""

    __slots__ = ("bell",)

    def __init__(self) -> None:
        from asyncio import Event as Bell  # a program without a loop never loads it

        super().__init__(running_loop())
        self.bell: asyncio.Event = Bell()

    def wake(self) -> None:
        """Have him look what has become of what he waits for."""
        assert self.loop is not None
        with suppress(RuntimeError):  # the loop is closed
            self.loop.call_soon_threadsafe(self.bell.set)


def rung(caller: SyncCaller) -> None:
    """Wait until somebody wakes the thread, or until it is time to look after who leads."""
    blocked[caller.thread] = caller
    try:
        caller.bell.wait(_PATIENCE)
    finally:
        blocked.pop(caller.thread, None)
    caller.bell.clear()


async def arung(caller: AsyncCaller) -> None:
    """Do the same in a task."""
    from asyncio import timeout

    with suppress(TimeoutError):
        async with timeout(_PATIENCE):
            await caller.bell.wait()
    caller.bell.clear()


def entered(flights: Iterable[Flight]) -> Token[Inside]:
    """Run inside of loads from now on; hand what is returned to `left`."""
    return _inside.set((*_running(), *flights))


def left(token: Token[Inside]) -> None:
    """Run inside of what was before."""
    with suppress(ValueError):  # a task of a loop that is closed ends in nobody's context
        _inside.reset(token)
