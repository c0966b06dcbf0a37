"""`FakeClock`: time that passes when a test says so."""

from __future__ import annotations

from datetime import timedelta

__all__ = ["FakeClock"]

_START_NS = 1_700_000_000 * 1_000_000_000  # some moment of 2023


class FakeClock:
    """A clock for ``clock=`` of the memory and the file backend; stands still until advanced.

    Example:
        >>> clock = FakeClock()
        >>> before = clock.time_ns()
        >>> clock.advance(1.5)
        >>> clock.time_ns() - before
        1500000000
    """

    def __init__(self) -> None:
        self._passed_ns = 0

    def advance(self, seconds: float | timedelta) -> None:
        """Let time pass.

        Args:
            seconds: seconds or a ``timedelta``, not negative; rounded to nanoseconds.

        Raises:
            ValueError: time can't go back.
        """
        if isinstance(seconds, timedelta):
            seconds = seconds.total_seconds()
        if not seconds >= 0:
            raise ValueError(f"seconds must not be negative, got {seconds!r}")
        self._passed_ns += round(seconds * 1_000_000_000)

    def monotonic_ns(self) -> int:
        """Return nanoseconds since the clock was made."""
        return self._passed_ns

    def time_ns(self) -> int:
        """Return nanoseconds since the epoch."""
        return _START_NS + self._passed_ns
