"""What tests of processes share: descriptors, forked children, programs of their own."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import textwrap
import traceback
from typing import TYPE_CHECKING

from development_mode import complaints

if TYPE_CHECKING:
    from collections.abc import Callable


def descriptors() -> int:
    """Return how many files and sockets this process has open, garbage left aside."""
    gc.collect()
    return len(os.listdir("/dev/fd" if sys.platform == "darwin" else "/proc/self/fd"))


def in_child(work: Callable[[], None]) -> None:
    """Run ``work`` in a forked child and fail with its traceback if it fails."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            os.write(writer, traceback.format_exc().encode()[-4000:])
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as told:
        message = told.read()
    _, status = os.waitpid(child, 0)
    assert status == 0, message


def run_strictly(script: str, *arguments: object) -> str:
    """Run a program in development mode with warnings as errors; return what it printed.

    It must print nothing to its standard error: that is where an object says that nobody
    closed it.
    """
    told = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", textwrap.dedent(script)]
        + [str(argument) for argument in arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (complaints(told.stderr), told.returncode) == ("", 0)
    return told.stdout.strip()
