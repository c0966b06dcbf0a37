"""The system's clocks behind the `Clock` protocol. A fake one is in `symphra_cache.testing`."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from symphra_cache.types import Clock

__all__ = ["SystemClock", "checked_clock", "monotonic_of"]


class SystemClock:
    """The clocks of the operating system."""

    # The C functions themselves: no frame of ours on the hot path.
    monotonic_ns = staticmethod(time.monotonic_ns)
    time_ns = staticmethod(time.time_ns)


def checked_clock(clock: Clock | None) -> Clock:
    """Return ``clock``, the system's for ``None``; refuse what has not both methods."""
    if clock is None:
        return SystemClock()
    if callable(getattr(clock, "monotonic_ns", None)) and callable(getattr(clock, "time_ns", None)):
        return clock
    from symphra_cache.exceptions import ConfigurationError

    raise ConfigurationError(
        f"clock must have monotonic_ns() and time_ns(), got {type(clock).__name__}; "
        "pass symphra_cache.testing.FakeClock() or leave it out"
    )


def monotonic_of(clock: Clock | None) -> tuple[Callable[[], float], float]:
    """Return what tells the monotonic time of a clock, and how many of its units a ms has."""
    clock = checked_clock(clock)
    if type(clock) is SystemClock:
        # Hot path: comparing floats costs less than comparing integers of this size.
        return time.monotonic, 0.001
    return clock.monotonic_ns, 1_000_000
