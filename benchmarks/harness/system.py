"""What a result says about where and of what it was measured: no host name, no path."""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from harness import redis_servers

ROOT = Path(__file__).resolve().parents[2]
# What the results depend on; documents and results themselves don't count as changes.
MEASURED = ("src", "benchmarks", ":!benchmarks/results", "pyproject.toml")


def described(packages: tuple[str, ...]) -> dict[str, object]:
    """Return the system, the commit, the day and the versions of packages."""
    return {
        "commit": _git("rev-parse", "HEAD"),
        "dirty": bool(_git("status", "--porcelain", "--", *MEASURED)),
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "packages": {name: _version(name) for name in packages},
    }


def _git(*arguments: str) -> str:
    told = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    return told.stdout.strip() if told.returncode == 0 else "unknown"


def _version(package: str) -> str:
    if package == "SQLite":
        return sqlite3.sqlite_version
    if package == "Redis server":
        return redis_servers.version()
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "missing"
