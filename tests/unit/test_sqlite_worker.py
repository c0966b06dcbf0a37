"""What we rely on inside aiosqlite; a release that changes it fails here, not at night."""

from __future__ import annotations

import asyncio
import threading
import time

import aiosqlite
import pytest

from symphra_cache._sqlite_worker import Worker


async def test_calls_run_one_after_another_on_one_thread_of_the_library() -> None:
    worker = Worker()
    threads = await asyncio.gather(*(worker.arun(threading.current_thread) for _ in range(20)))
    assert len(set(threads)) == 1
    assert threads[0].name == "symphra-cache-sqlite"
    assert threads[0].daemon, "a program that forgot to close would never end"
    worker.finish()
    threads[0].join(10)
    assert not threads[0].is_alive()


async def test_what_a_call_raises_reaches_its_caller_alone() -> None:
    worker = Worker()

    def fail() -> None:
        raise LookupError("only mine")

    outcomes = await asyncio.gather(
        worker.arun(fail), worker.arun(lambda: 1), return_exceptions=True
    )
    assert isinstance(outcomes[0], LookupError)
    assert outcomes[1] == 1
    worker.finish()


def test_the_thread_outlives_a_loop_that_is_closed_before_the_answer() -> None:
    worker = Worker()
    began = threading.Event()

    async def leave() -> None:
        def slow() -> None:
            began.set()
            time.sleep(0.05)

        task = asyncio.ensure_future(worker.arun(slow))
        await asyncio.to_thread(began.wait)
        task.cancel()

    asyncio.run(leave())
    assert asyncio.run(worker.arun(lambda: "still there")) == "still there"
    worker.finish()


@pytest.mark.parametrize("name", ["_thread", "_tx", "_connection"])
def test_aiosqlite_still_has_what_the_worker_uses(name: str) -> None:
    worker = Worker()
    assert isinstance(worker, aiosqlite.Connection)
    assert hasattr(worker, name)
    worker.finish()
