"""Where a contestant sits: in this process, in another, or in a new one for each round.

The predecessor shares our import name, so it needs a process that finds it first. Such a process is
``python -m harness.seats FAMILY WORK CONTESTANT``; it does a slot when it reads a number of passes
and answers with what they took, and otherwise waits, so it never runs beside the others.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.model import Contestant, Runner, Work

HOME = Path(__file__).resolve().parents[1]
# The folder where symphra-cache 0.1.0 and what it needs are installed.
PREDECESSOR = "BENCH_PREDECESSOR"


class AbsentError(Exception):
    """A contestant can't run; the message says why."""


def reason(error: BaseException) -> str:
    """Return an error as text that shows nothing of the machine it happened on."""
    text = str(error).partition("\n")[0] or "no message"
    if not isinstance(error, AbsentError):
        text = f"{type(error).__name__}: {text}"
    return re.sub(r"'?(?:[A-Za-z]:)?[/\\][\w./\\-]+'?", "a path", text)


class Remote:
    """A runner in another process."""

    def __init__(self, family: str, work: Work, contestant: Contestant) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "harness.seats", family, work.name, contestant.name],
            cwd=HOME,
            env=_environment(contestant.place),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.operations = int(self._answer())

    def run(self, passes: int) -> float:
        """Have it do a slot."""
        return self._asked(passes)

    def close(self) -> None:
        """Have it close its runner and end."""
        try:
            self._asked(0)
        finally:
            self._process.kill()
            self._process.wait()

    def _asked(self, passes: int) -> float:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{passes}\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> float:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        answer = json.loads(line) if line else {"error": "its process ended"}
        if "error" in answer:
            self._process.kill()
            self._process.wait()
            raise AbsentError(answer["error"])
        return answer["took"]


class Fresh:
    """A runner that is made anew, in a process of its own, for every slot."""

    def __init__(self, family: str, work: Work, contestant: Contestant) -> None:
        self._seat = (family, work, contestant)
        self.operations = 1

    def run(self, passes: int) -> float:
        """Start a process, have it do one slot, and end it."""
        remote = Remote(*self._seat)
        self.operations = remote.operations
        took = remote.run(passes)
        remote.close()
        return took

    def close(self) -> None:
        """Hold nothing."""


def seat(family: str, work: Work, contestant: Contestant) -> Runner:
    """Make a contestant ready where it belongs."""
    if contestant.place == "here":
        return contestant.prepare()
    if contestant.place == "predecessor":
        return Remote(family, work, contestant)
    return Fresh(family, work, contestant)


def predecessor_folder() -> str:
    """Return the folder of symphra-cache 0.1.0."""
    folder = os.environ.get(PREDECESSOR)
    if not folder or not Path(folder, "symphra_cache").is_dir():
        raise AbsentError("it is not installed in a folder of its own")
    return folder


def _environment(place: str) -> dict[str, str]:
    environment = dict(os.environ)
    if place.endswith("predecessor"):
        environment["PYTHONPATH"] = predecessor_folder()
    return environment


def _serve(family: str, work_name: str, name: str) -> None:
    """Be the other process: answer each number of passes until it is 0."""
    # What a library prints must not be taken for an answer.
    answers, sys.stdout = sys.stdout, sys.stderr
    try:
        works = importlib.import_module(f"families.{family}").WORKS
        work = next(work for work in works if work.name == work_name)
        runner = next(one for one in work.contestants if one.name == name).prepare()
        gc.collect()
        gc.freeze()
        print(json.dumps({"took": runner.operations}), file=answers, flush=True)
        for line in sys.stdin:
            gc.collect()
            passes = int(line)
            took = runner.run(passes) if passes else runner.close() or 0
            print(json.dumps({"took": took}), file=answers, flush=True)
    except Exception as error:
        print(json.dumps({"error": reason(error)}), file=answers, flush=True)


if __name__ == "__main__":
    _serve(*sys.argv[1:])
