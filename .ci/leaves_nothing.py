"""Runs a command; fails if it fails, or if a process is left when it has ended. Linux only.

    python leaves_nothing.py COMMAND [ARGUMENT ...]

Whose parent ends is handed to the nearest ancestor that asked for it, and this process does. So
none gets lost, not even a daemon that changed its session, its group and its environment.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

SET_CHILD_SUBREAPER = 36  # of prctl(2)
GRACE = 5.0  # seconds in which what was told to stop may do so


def main(command: list[str]) -> int:
    """Run the command; return its exit status, or 1 if it left a process."""
    if ctypes.CDLL(None, use_errno=True).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "this system can't tell what a command leaves behind")
    status = wait_for(subprocess.Popen(command).pid)
    deadline = time.monotonic() + GRACE
    while (left := children(os.getpid())) and time.monotonic() < deadline:
        reap()
        time.sleep(0.05)
    for process in left:
        print(f"left behind by {command[0]}: {process} {describe(process)}", file=sys.stderr)
        os.kill(process, signal.SIGKILL)
    return status or bool(left)


def wait_for(process: int) -> int:
    """Wait for a child and meanwhile bury those that were handed over."""
    while True:
        found, status = os.wait()
        if found == process:
            return os.waitstatus_to_exitcode(status)


def reap() -> None:
    """Bury the children that have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        pass


def children(parent: int) -> list[int]:
    """Return the processes below one, however deep."""
    below: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended since
            continue
        if fields[0] != "Z":
            below.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found = list(below.get(parent, ()))
    for process in found:  # grows while it is walked through
        found.extend(below.get(process, ()))
    return found


def describe(process: int) -> str:
    """Return the command line of a process."""
    try:
        return Path(f"/proc/{process}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return "(has ended)"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
