"""Registers on a server that may lose what it was told, when it dies or another takes its place.

A register is checked with a `Board`, and each life of the server has one of its own: what was
acknowledged in one life need not be there in the next. What is read must have been written in the
same life, if the server comes back empty, or ever, if it keeps what it has or hands it on.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

from registers import Board

if TYPE_CHECKING:
    from pathlib import Path


class Life(NamedTuple):
    """One life of a server.

    Attributes:
        board: what is known of the registers in this life.
        oldest: by register, the lowest number whose write may have reached this life.
        kept: whether anything of earlier lives may be there.
    """

    board: Board
    oldest: tuple[int, ...]
    kept: bool


class Lives:
    """The lives of one server. Safe to use from all threads and loops of the process.

    `next` is called while no server is there: the one before is dead, the one after not yet
    begun. So a call that has begun in a life reaches that life or a later one, and if it ends in
    the same life it was done in it.
    """

    def __init__(self, folder: Path, registers: int) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self._registers = range(registers)
        self._lock = threading.Lock()
        self._ended = [0] * registers  # the number whose write has returned or failed last
        self._count = 0
        self.now = Life(self._board(), (1,) * registers, kept=False)

    def next(self, *, kept: bool = False) -> None:
        """Say that a life is over.

        Args:
            kept: whether the next one begins with what was there, of which the latest may miss.
        """
        with self._lock:
            before, board = self.now, self._board()
            for register in self._registers:
                board.begun[register] = before.board.begun[register]
            # What is still under way may reach the next life.
            under_way = [
                begun if ended < begun else begun + 1
                for begun, ended in zip(before.board.begun, self._ended, strict=True)
            ]
            oldest = before.oldest if kept else tuple(under_way)
            self.now = Life(board, oldest, kept)

    def begin(self, register: int) -> tuple[Life, int]:
        """Return the present life, and the next number to write to a register."""
        with self._lock:
            return self.now, self.now.board.begin(register)

    def end(self, life: Life, register: int, number: int, *, acknowledged: bool) -> None:
        """Note that the write of a number has returned, or failed."""
        with self._lock:
            self._ended[register] = number
            if acknowledged and life is self.now:
                life.board.acknowledge(register, number)

    def check(self, life: Life, register: int, floor: int, number: int) -> None:
        """Check what a read has returned, 0 for nothing.

        Args:
            life: the life in which it began.
            register: what was read.
            floor: what the board of that life gave before the read began.
            number: what it returned.
        """
        now = self.now
        if life is now:
            now.board.check(register, floor, number)
        assert number <= now.board.begun[register], f"register {register}: nobody wrote {number}"
        oldest = life.oldest[register]
        assert number == 0 or number >= oldest, f"register {register}: {number} of a former life"

    def _board(self) -> Board:
        self._count += 1
        return Board(self._folder / f"life-{self._count}", len(self._registers))


class Tally:
    """A counter that nobody else raises: what ``incr`` may return, life by life."""

    def __init__(self, lives: Lives) -> None:
        self._lives = lives
        self._life = lives.now
        self._last = 0  # in this life
        self._unknown = 0  # calls that may have been done in this life, or may yet be
        self._attempts = 0

    def begin(self) -> Life:
        """Return the present life, before a call."""
        self._look()
        self._attempts += 1
        return self._life

    def end(self, life: Life, answer: int | None) -> None:
        """Check the answer of a call that began in a life, ``None`` if it failed."""
        self._look()
        if answer is None or life is not self._life:
            assert answer is None or 1 <= answer <= self._attempts, f"{answer} from nobody"
            self._unknown += 1
            return
        more = answer - self._last - 1
        assert 0 <= more <= self._unknown, f"{answer} after {self._last}, {self._unknown} unknown"
        self._last = answer
        self._unknown -= more

    def _look(self) -> None:
        life = self._lives.now
        if life is not self._life:
            self._life, self._last = life, 0
            self._unknown = self._attempts if life.kept else 0
