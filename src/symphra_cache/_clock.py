"""The system's clocks behind the `Clock` protocol. A fake one is in `symphra_cache.testing`."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from symphra_cache.types import Clock

__all__ = ["SystemClock", "checked_clock"]


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
