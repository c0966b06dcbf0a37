"""`Turn`: mutual exclusion between threads for short steps, at a third of the price of a lock.

It rests on the GIL, as do the counters: under CPython 3.11 to 3.13 a thread is interrupted at
calls and backward jumps only, so a check and an assignment right after it are one step.

Rejected: ``threading.RLock``. Taking and leaving it costs 120 ns, a sixth of a whole write. And
who waits for it gets it while still waiting for the GIL, so that the thread that runs has to
wait in turn, at every single step from then on: four threads that wrote were five times slower
each than one. Who waits here naps and looks again; the steps take microseconds.
"""

from __future__ import annotations

from threading import get_ident
from time import sleep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["NAP", "Turn"]

NAP = 20e-6
"""Seconds that a waiting thread sleeps before it looks again."""


class Turn:
    """Held by one thread at a time, for steps that neither wait nor call the program.

    Reentrant, since the garbage collector may run a finalizer that writes to the cache in the
    middle of such a step.

    Attributes:
        owner: the thread whose turn it is, 0 if it is nobody's.
    """

    __slots__ = ("_nested", "owner")

    def __init__(self) -> None:
        self.owner: int = 0
        self._nested = 0

    @property
    def is_nested(self) -> bool:
        """Whether who has it has it twice: he must not wait for anybody who needs it."""
        return self._nested > 0

    def __enter__(self) -> None:
        me = get_ident()
        while self.owner:
            if self.owner == me:
                self._nested += 1
                break
            sleep(NAP)
        else:
            self.owner = me  # no call between this and the last look: one step

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._nested:
            self._nested -= 1
        else:
            self.owner = 0
