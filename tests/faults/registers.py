"""Registers: keys with one writer each, whose numbers only rise, and what is known of them.

A register with one writer is linearizable if each read returns a number that is not older than
those acknowledged before the read began, nor than what another read had returned by then, and not
newer than what its writer has begun to write. That can be checked while it goes on, read by read,
by threads, tasks, forks and processes alike: `Board` is memory that they share.
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_KINDS = 3  # of numbers on a board: begun, acknowledged, seen
_WIDTH = 8


def value_of(register: int, number: int, size: int) -> list[Any]:
    """Return what is stored for a number: a torn value or another register's is not like it."""
    return [number, f"{register}={number} " * size, -number]


def number_in(register: int, value: Any, size: int) -> int:
    """Return the number that a value stands for, 0 for none at all; fail if it is another's."""
    if value is None:
        return 0
    number: int = value[0]
    assert value == value_of(register, number, size), f"torn, or another's: {value!r:.100}"
    return number


class Board:
    """What is known of some registers, in a file that all who take part have mapped.

    What a killed process has put on it stays there. It relies on stores of one machine word
    being whole, and on those of one process being seen in their order: locks lie between them.

    Attributes:
        begun: by register, the number that its writer began to write last.
        acknowledged: the number of its last write that has returned.
        seen: the highest number that a read has returned, or one that was nearly as high.
    """

    def __init__(self, path: Path | str, registers: int) -> None:
        size = registers * _KINDS * _WIDTH
        with open(path, "a+b") as file:
            file.truncate(size)
            self._map = mmap.mmap(file.fileno(), size)
        numbers = memoryview(self._map).cast("q")
        self.begun = numbers[:registers]
        self.acknowledged = numbers[registers : 2 * registers]
        self.seen = numbers[2 * registers :]

    def begin(self, register: int) -> int:
        """Return the next number to write to a register, as its only writer."""
        number = self.begun[register] + 1
        self.begun[register] = number
        return number

    def begin_all(self, registers: range) -> int:
        """Return the next number to write to all of these, which always have one in common."""
        number = max(self.begun[register] for register in registers) + 1
        for register in registers:  # a kill may come here, too: hence the maximum
            self.begun[register] = number
        return number

    def acknowledge(self, register: int, number: int) -> None:
        """Note that the write of a number has returned."""
        self.acknowledged[register] = number

    def floor(self, register: int) -> int:
        """Return the lowest number that a read which begins now may return."""
        return max(self.acknowledged[register], self.seen[register])

    def check(self, register: int, floor: int, number: int) -> None:
        """Check what a read has returned.

        Args:
            register: what was read.
            floor: what `floor` gave before the read began.
            number: what it returned.
        """
        assert number >= floor, f"stale: register {register} is {number}, had been {floor}"
        assert number <= self.begun[register], f"register {register}: nobody wrote {number}"
        if number > self.seen[register]:
            self.seen[register] = number
