"""Every run: a skipped test is a failed run, `scripts/test` learns how many tests ran.

Also here: the face under test, for behaviour that both must show.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from faces import Caller

if TYPE_CHECKING:
    from collections.abc import Iterator

# Files that take long and hardly depend on the version of Python: one is enough for them.
HERE = Path(__file__).parent
SLOW = (
    "mixed/test_sentinel_processes.py",
    *("faults/test_killed_writers.py", "faults/test_many_processes.py", "faults/test_redis_*.py"),
    *("faults/test_loads_outages.py", "faults/test_loads_restarts.py"),
    "faults/test_sentinel_failover.py",
    "unit/test_degrading_*.py",
    *("unit/test_benchmark_loads.py", "unit/test_benchmark_redis.py", "mixed/test_loads_storm.py"),
    "unit/test_file_quarantine.py",
    *("unit/test_file_replaced.py", "unit/test_redis_breaker.py"),
    *("unit/test_redis_cluster*.py", "unit/test_redis_connecting.py"),
    *("unit/test_redis_injected.py", "unit/test_redis_refusals.py"),
    *("unit/test_redis_near_review.py", "unit/test_redis_near_epochs.py"),
    *("unit/test_redis_sentinel.py", "unit/test_redis_topologies.py"),
)

OUTCOMES = ("passed", "failed", "error", "skipped", "xfailed", "xpassed")
NOT_PROVEN = ("skipped", "xfailed", "xpassed")
ALLOWED = "SYMPHRA_ALLOW_SKIPS"
RESULTS = "SYMPHRA_TEST_RESULTS"


@pytest.fixture(params=["blocking", "asyncio"])
def call(request: pytest.FixtureRequest) -> Iterator[Caller]:
    """Calls through one face; one event loop for all calls of a test."""
    if request.param == "blocking":
        yield Caller(None)
        return
    with asyncio.Runner() as runner:
        yield Caller(runner)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of `SLOW`."""
    for item in items:
        path = item.path.relative_to(HERE).as_posix()
        if any(fnmatch(path, pattern) for pattern in SLOW):
            item.add_marker("slow")


def counts(config: pytest.Config) -> dict[str, int]:
    """Return how many tests there were of each outcome."""
    reporter: pytest.TerminalReporter | None = config.pluginmanager.get_plugin("terminalreporter")
    stats = reporter.stats if reporter else {}
    return {outcome: len(stats[outcome]) for outcome in OUTCOMES if stats.get(outcome)}


def not_proven(config: pytest.Config) -> int:
    """Return how many tests were skipped or expected to fail, unless that is allowed."""
    if os.environ.get(ALLOWED):
        return 0
    return sum(count for outcome, count in counts(config).items() if outcome in NOT_PROVEN)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run if a test was skipped, and write the counts where they are wanted."""
    unhurt = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
    if session.exitstatus in unhurt and not_proven(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    if path := os.environ.get(RESULTS):
        line = ", ".join(f"{count} {outcome}" for outcome, count in counts(session.config).items())
        with Path(path).open("a", encoding="utf-8") as results:
            results.write(f"{os.environ.get('TOX_ENV_NAME', 'pytest')}: {line or 'no tests'}\n")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say why a run without a failed test is a failed run."""
    if count := not_proven(terminalreporter.config):
        terminalreporter.section("a skipped test proves nothing", red=True)
        terminalreporter.line(
            f"The run fails: {count} skipped or expected to fail. {ALLOWED}=1 permits it."
        )


def stop_tracing() -> None:
    """In a forked child: measure no coverage, for that needs a lock of coverage's own.

    At the fork another thread of the parent may have held it, and no thread of the child will
    ever release it. Nothing is lost: children of tests end with ``os._exit``, which writes down
    no measurement. This hook is registered, and so run, before those of the package.
    """
    sys.settrace(None)
    threading.settrace(None)


if sys.gettrace() is not None:
    os.register_at_fork(after_in_child=stop_tracing)
