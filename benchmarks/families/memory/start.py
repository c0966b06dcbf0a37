"""C2: from a fresh interpreter to the first `get`."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from time import perf_counter_ns

from harness.model import Contestant, Goal, Work
from harness.runners import Once
from harness.seats import predecessor_folder

BARE = "bare interpreter"
OURS = "symphra_cache, first get"
THEIRS = "symphra-cache 0.1.0, import only"

FIRST_GET = """
from symphra_cache import CacheManager
from symphra_cache.backends import MemoryBackend

assert CacheManager(MemoryBackend()).get("k") is None
"""
IMPORT = """
import sys

sys.path.insert(0, sys.argv[1])
import symphra_cache

assert symphra_cache.__version__ == "0.1.0"
"""


def started(program: str) -> Once:
    """Return a runner that starts an interpreter and waits for its end."""
    arguments = [predecessor_folder()] if program is IMPORT else []

    def figure() -> float:
        begun = perf_counter_ns()
        subprocess.run([sys.executable, "-I", "-c", program, *arguments], check=True)
        return (perf_counter_ns() - begun) / 1e6

    figure()  # compiles what is not compiled yet
    return Once(figure)


START = (
    Work(
        "start",
        "A fresh interpreter, from its start to its end",
        (
            Contestant(OURS, partial(started, FIRST_GET)),
            Contestant(THEIRS, partial(started, IMPORT), "not even a cache is made"),
            Contestant(BARE, partial(started, "pass")),
        ),
        (Goal("C2", OURS, 0.4, THEIRS, minus=BARE),),
        (BARE,),
        unit="ms",
        calibrated=False,
    ),
)
