"""The running event loop, or an error that says what to do without one."""

from __future__ import annotations

from symphra_cache.exceptions import UnsupportedLoopError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

__all__ = ["running_loop"]


# asyncio's own, once somebody has asked: to import it in each call takes longer than the rest.
_found: Callable[[], AbstractEventLoop] | None = None


def running_loop() -> AbstractEventLoop:
    """Return the asyncio loop that runs the caller.

    Raises:
        UnsupportedLoopError: there is none: the caller runs under trio, say.
    """
    try:
        return (_found or _find())()
    except RuntimeError:
        raise UnsupportedLoopError(
            "the asyncio methods need a running asyncio event loop (uvloop's will do); "
            "under trio or without a loop use the blocking ones, in a worker thread"
        ) from None


def _find() -> Callable[[], AbstractEventLoop]:
    global _found
    from asyncio import get_running_loop

    _found = get_running_loop
    return _found
