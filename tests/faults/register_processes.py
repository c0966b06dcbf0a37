"""Starts and ends the processes that use registers: `register_user.py`."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

PROGRAM = str(Path(__file__).with_name("register_user.py"))


class Part(NamedTuple):
    """What one process does: its role, and the registers that it writes or reads."""

    role: str
    first: int
    last: int


class Users:
    """Processes that write and read the registers of one cache file, all at the same time."""

    def __init__(
        self,
        path: Path,
        board: Path,
        registers: int,
        size: int,
        parts: Sequence[Part],
        *,
        max_size: int = 0,
    ) -> None:
        shared = [str(each) for each in (path, board, registers, size, max_size)]
        self.processes = [
            subprocess.Popen(
                [sys.executable, PROGRAM, *shared, *(str(each) for each in part)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for part in parts
        ]

    def go(self) -> None:
        """Wait until all have the file open, then let them begin."""
        for process in self.processes:
            assert process.stdout is not None
            assert process.stdin is not None
            if process.stdout.readline() != "ready\n":
                raise AssertionError(process.communicate()[1])
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.write("g")
            process.stdin.flush()

    def check_alive(self) -> None:
        """Fail with what it said if one of them has failed."""
        for process in self.processes:
            if process.poll() is not None:
                raise AssertionError(process.communicate()[1])

    def kill(self) -> None:
        """Kill all of them, now."""
        for process in self.processes:
            process.kill()
        for process in self.processes:
            _, said = process.communicate()
            assert process.returncode == -9, said

    def end(self) -> tuple[list[int], float]:
        """Let them end in good order.

        Returns:
            How many calls each has made, and how many seconds the longest write of all took.
        """
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.close()
            process.stdin = None  # `communicate` would flush it
        told = [process.communicate(timeout=60) for process in self.processes]
        for process, (_, said) in zip(self.processes, told, strict=True):
            assert process.returncode == 0, said
        figures = [said.split() for said, _ in told]
        return [int(calls) for calls, _ in figures], max(float(longest) for _, longest in figures)

    def __enter__(self) -> Users:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with ExitStack() as stack:
            for process in self.processes:
                stack.enter_context(process)
                process.kill()
