"""F1: hits while another process writes other keys all the time.

Everybody whose file is written has a writer of its own, a process that is there for the whole work
and writes during its reader's slots, untimed parts included; at other times it waits.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from families.file.common import (
    BARE,
    ENTRIES,
    FLOOR,
    INTEGERS,
    KEYS,
    KINDS,
    OURS,
    SQL,
    TEXTS,
    US,
    Peer,
    contestant,
)
from families.file.reads import reads
from families.memory.common import keys
from harness.model import Goal, Work
from harness.seats import HOME, AbsentError
from peers import sql, symphra_file

if TYPE_CHECKING:
    from pathlib import Path

    from families.file.common import Opened
    from harness.runners import Loop

SELECT = "point SELECT on our file"
QUIET, BARE_QUIET = f"{OURS}, nobody writing", f"{BARE}, nobody writing"


class Writer:
    """The other process."""

    def __init__(self, path: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "peers.file_writer", path],
            cwd=HOME,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        others = keys(ENTRIES)[TEXTS :: len(KINDS)]
        self._tell(json.dumps(others))

    def turn(self) -> int:
        """Start it, or stop it; return how often it has written."""
        self._tell("")
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise AbsentError("the writing process ended")
        return int(line)

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def close(self) -> None:
        """End it, by the end of its input or by force."""
        try:
            self._process.communicate(timeout=5)
        finally:
            self._process.kill()
            self._process.wait()


class Disturbed:
    """A runner during whose slots another process writes into its file."""

    def __init__(self, runner: Loop, path: Path) -> None:
        self.operations = runner.operations
        self._runner = runner
        self._writer = Writer(path)
        self._written = 0
        self._took = 0.0

    def run(self, passes: int) -> float:
        """Time so many passes."""
        self._writer.turn()
        took = self._runner.run(passes)
        # Of the first it waited for the answer, so one alone was written before the slot.
        self._written += self._writer.turn() - 1
        self._took += took
        return took

    def close(self) -> None:
        """End the writer; check that it wrote, at least once in each millisecond."""
        self._writer.close()
        self._runner.close()
        if self._written < self._took / 1e6:
            raise AbsentError("the other process hardly wrote")


def disturbed(opened: Opened) -> Disturbed:
    """Return a runner of hits in a file that another process writes into."""
    folder: Path = opened.args[0]  # type: ignore[attr-defined]
    return Disturbed(reads(opened, INTEGERS), folder / symphra_file.FILE)


BARE_HERE = Peer(SELECT, sql.of_ours, symphra_file.fill_symphra, FLOOR)

FOREIGN = (
    Work(
        "get-written",
        f"`get`, a hit: int (the same {KEYS:,} keys), another process writing all the time",
        (
            contestant(US, disturbed),
            contestant(BARE_HERE, disturbed),
            contestant(US._replace(name=QUIET), reads, INTEGERS),
            contestant(SQL._replace(name=BARE_QUIET), reads, INTEGERS),
        ),
        (Goal("F1", OURS, 1.5, SELECT), Goal("F1", OURS, None, BARE_QUIET)),
        (SELECT, BARE_QUIET),
        longer=4,
    ),
)
