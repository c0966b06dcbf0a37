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

__all__ = ["AsyncCaller", "Caller", "SyncCaller", "arung", "entered", "left", "rung"]

# Seconds after which who waits looks whether who leads still can.
_PATIENCE = 0.5

# The loads that the code runs inside of, the innermost last.
_inside: ContextVar[Inside] = ContextVar("symphra_cache_loads", default=())


class Caller:
    """Who wants a key.

    Attributes:
        inside: the loads that he does it for.
        is_busy: whether he leads some of many loads, and so can't lead another meanwhile.
        loop: of his task, ``None`` if he is a thread.
        thread: his.
    """

    __slots__ = ("inside", "is_busy", "loop", "thread")

    def __init__(self, loop: asyncio.AbstractEventLoop | None) -> None:
        self.inside: Inside = _inside.get()
        self.is_busy: bool = False
        self.loop: asyncio.AbstractEventLoop | None = loop
        self.thread: int = get_ident()

    def blocks(self, other: Caller) -> bool:
        """Tell whether another could not go on if this one waited."""
        return self.loop is None and other.loop is not None and other.thread == self.thread

    @property
    def is_lost(self) -> bool:
        """Whether he can't go on; a thread that ends lets go of what it leads by itself."""
        return self.loop is not None and (self.loop.is_closed() or not self.loop.is_running())

    def wake(self) -> None:
        """Have him look what has become of what he waits for."""
        raise NotImplementedError


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
    caller.bell.wait(_PATIENCE)
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
    running = [one for one in _inside.get() if not one.is_over]
    return _inside.set((*running, *flights))


def left(token: Token[Inside]) -> None:
    """Run inside of what was before."""
    with suppress(ValueError):  # a task of a loop that is closed ends in nobody's context
        _inside.reset(token)
