"""Clocks that do what a fake one does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class TwoHands:
    """For ``clock=``: the wall's time may be set, the monotonic one goes on."""

    def __init__(self) -> None:
        self.steady = 0
        self.wall = 1_700_000_000_000_000_000

    def monotonic_ns(self) -> int:
        return self.steady

    def time_ns(self) -> int:
        return self.wall


class Meddler(TwoHands):
    """Does something at the moment when somebody looks at the clock, once."""

    def __init__(self) -> None:
        super().__init__()
        self.at = 0
        self.looks = 0
        self.meddle: Callable[[], object] = int

    def monotonic_ns(self) -> int:
        now = super().monotonic_ns()
        self.looks += 1
        if self.looks == self.at:
            self.meddle()
        return now
