"""Registers of a foreign writer, and when each of their numbers had been written.

A near cache may be late: by how much is told by when the next newer number was acknowledged, on
the monotonic clock, which the processes of one machine share.
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Any

from redis_load import SIZE
from registers import value_of

if TYPE_CHECKING:
    from pathlib import Path

TRUSTED = 2.2
"""Seconds by which a read may be late at the most, however its link has broken."""

_MOST = 65_536  # numbers of a register
_WIDTH = 8


def stored(register: int, number: int) -> object:
    """Return the value for a number: text, which a near cache keeps, or what it copies."""
    value = value_of(register, number, SIZE)
    return value if register % 2 else value[1]


def number_of(register: int, value: Any) -> int:
    """Return the number that a value stands for, 0 for none; fail if it is another's."""
    if value is None:
        return 0
    text = value if isinstance(value, str) else value[1]
    number = int(text.split()[0].partition("=")[2])
    assert value == stored(register, number), f"torn, or another's: {value!r:.100}"
    return number


class NearBoard:
    """What is known of some registers, in a file that writer and readers have mapped.

    Args:
        path: of the file.
        registers: how many there are. Each has one writer, who writes a number again and again
            until that is acknowledged, then the next.

    Attributes:
        begun: by register, the number that is being written.
    """

    def __init__(self, path: Path | str, registers: int) -> None:
        size = registers * (2 + _MOST) * _WIDTH
        with open(path, "a+b") as file:
            file.truncate(size)
            self._map = mmap.mmap(file.fileno(), size)
        self.registers = range(registers)
        numbers = memoryview(self._map)[: 2 * registers * _WIDTH].cast("q")
        self.begun = numbers[:registers]
        # The first number of which it is certain that its write was begun in this life.
        self._first = numbers[registers:]
        self._times = memoryview(self._map)[2 * registers * _WIDTH :].cast("d")

    def begin(self, register: int) -> int:
        """Return the next number to write to a register, as its only writer."""
        number = self.begun[register] + 1
        assert number < _MOST
        self.begun[register] = number
        return number

    def outdate(self, register: int, number: int, at: float) -> None:
        """Note that a number has been acknowledged, and so the one before is out of date."""
        self._times[register * _MOST + number] = at

    def next_life(self) -> None:
        """Say that what was acknowledged may be lost, for a server has died or is replaced."""
        for register in self.registers:
            self._first[register] = self.begun[register] + 1

    def is_written(self) -> bool:
        """Tell whether every register was written in this life."""
        return all(self._at(register, self._first[register] or 1) for register in self.registers)

    def lateness(self, register: int, began: float, number: int) -> float:
        """Return by how many seconds a read was late, 0 if it was right.

        Args:
            register: what was read.
            began: when the read began.
            number: what it returned.
        """
        assert number <= self.begun[register], f"register {register}: nobody wrote {number}"
        at = self._at(register, max(number + 1, self._first[register]))
        return max(0.0, began - at) if at else 0.0

    def _at(self, register: int, number: int) -> float:
        at: float = self._times[register * _MOST + number]
        return at
