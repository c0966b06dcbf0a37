"""A clock whose two times pass apart from each other."""

from __future__ import annotations


class TwoHands:
    """For ``clock=``: the wall's time may be set, the monotonic one goes on."""

    def __init__(self) -> None:
        self.steady = 0
        self.wall = 1_700_000_000_000_000_000

    def monotonic_ns(self) -> int:
        return self.steady

    def time_ns(self) -> int:
        return self.wall
