"""Processes beside a test of the file backend: some that use a file, one that damages it."""

from __future__ import annotations

import random
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

_IMPORTS = """
import asyncio, os, sqlite3, sys
from symphra_cache import CacheManager
from symphra_cache.backends import FileBackend
"""


def contents(entries: int = 500) -> dict[str, Any]:
    """Return what the files under test hold: small values, and some longer than a page."""
    rng = random.Random(7)
    sizes = [rng.choice((3, 40, 40, 40, 300, 9_000)) for _ in range(entries)]
    return {f"key-{number}": [number, rng.randbytes(size)] for number, size in enumerate(sizes)}


class Child:
    """A process that runs a script for each line that it is sent, and answers each with one.

    The script finds the line, split at tabs, in ``given``, and leaves its answer in ``told``.
    An exception in it is its answer. What it defines is still there at the next line.
    """

    def __init__(self, script: str, *, preparation: str = "") -> None:
        loop = (
            "print('ready', flush=True)\n"
            "for line in sys.stdin:\n"
            "    given, told = line[:-1].split(chr(9)), None\n"
            "    try:\n"
            "        exec(script)\n"
            "    except BaseException as error:\n"
            "        told = error\n"
            "    print(repr(told), flush=True)\n"
        )
        script = textwrap.dedent(script)
        prepared = f"{_IMPORTS}{textwrap.dedent(preparation)}\nscript = {script!r}\n{loop}"
        self.process = subprocess.Popen(
            [sys.executable, "-c", prepared],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def wait_until_ready(self) -> None:
        """Wait until it has imported everything."""
        assert self.answer() == "ready"

    def send(self, *given: object) -> None:
        """Have the script run, and don't wait for it."""
        assert self.process.stdin is not None
        self.process.stdin.write("\t".join(str(item) for item in given) + "\n")
        self.process.stdin.flush()

    def answer(self) -> str:
        """Wait for the answer to the oldest line that has none."""
        assert self.process.stdout is not None
        return self.process.stdout.readline()[:-1]

    def ask(self, *given: object) -> str:
        """Have the script run, and wait for it."""
        self.send(*given)
        return self.answer()

    def end(self) -> None:
        """Let it finish in good order."""
        self.process.communicate(timeout=30)
        assert self.process.returncode == 0

    def __enter__(self) -> Child:
        self.wait_until_ready()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.end()
        else:
            self.process.kill()
            self.process.communicate()


class Vandal(Child):
    """Writes into files. This process must not: closing them would drop SQLite's locks."""

    def __init__(self) -> None:
        super().__init__(
            """
            path, at, data = given
            with open(path, "r+b") as file:
                if data == "cut":
                    file.truncate(int(at))
                else:
                    file.seek(int(at))
                    file.write(bytes.fromhex(data))
            """
        )

    def write(self, path: Path, at: int, data: bytes | None) -> None:
        """Write there, or with ``None`` cut the file off there."""
        assert self.ask(path, at, "cut" if data is None else data.hex()) == "None"

    def overwrite(self, path: Path, data: bytes) -> None:
        """Replace the content, as ``cp`` does."""
        self.write(path, 0, None)
        self.write(path, 0, data)
