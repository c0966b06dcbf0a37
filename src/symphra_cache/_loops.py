"""The running event loop, or an error that says what to do without one."""

from __future__ import annotations

from symphra_cache.exceptions import UnsupportedLoopError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

__all__ = ["running_loop"]


def running_loop() -> AbstractEventLoop:
    """Return the asyncio loop that runs the caller.

    Raises:
        UnsupportedLoopError: there is none: the caller runs under trio, say.
    """
    from asyncio import get_running_loop

    try:
        return get_running_loop()
    except RuntimeError:
        raise UnsupportedLoopError(
            "the asyncio methods need a running asyncio event loop (uvloop's will do); "
            "under trio or without a loop use the blocking ones, in a worker thread"
        ) from None
