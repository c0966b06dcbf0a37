"""What a generator yields while a program iterates over it, kept until it is whole. No I/O."""

from __future__ import annotations

from symphra_cache._loads import kept_for_others

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from symphra_cache._callers import Caller
    from symphra_cache._flights import Flight, Flights, Kept, Name

__all__ = ["Recording"]


class Recording:
    """What one generator has yielded so far, each item as it was then.

    The program may change what it was given before the last item is there.

    Args:
        flights: of the backend; a write of the key meanwhile voids the recording.
        name: of the key.
        caller: who iterates.

    Attributes:
        flight: nobody else's; it ends with the recording at the latest.
    """

    __slots__ = ("_flights", "_kept", "flight")

    def __init__(self, flights: Flights, name: Name, caller: Caller) -> None:
        self._flights = flights
        self._kept: list[Kept] = []
        self.flight: Flight = flights.join(name, caller, alone=True)

    def add(self, item: object) -> None:
        """Keep an item."""
        self._kept.append(kept_for_others(self._flights, item))

    def items(self) -> list[Any]:
        """Return the items, none of which the program has seen."""
        return [kept if thaw is None else thaw(kept) for kept, thaw in self._kept]

    def abandon(self) -> None:
        """Keep nothing, for the generator has not come to its end."""
        self._flights.leave(self.flight, self.flight.leader)
        self._kept.clear()

    def __del__(self) -> None:
        # Not only in a `finally`: one whose event loop is closed never gets there.
        if hasattr(self, "flight"):
            self._flights.leave(self.flight, self.flight.leader)
