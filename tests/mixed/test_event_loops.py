"""Event loops one after another, at once, of another make, and none at all."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest
import trio
import uvloop

from memory_checks import LONG
from processes import descriptors
from symphra_cache import CacheManager, UnsupportedLoopError
from symphra_cache.backends import FileBackend

LOOPS = 200 if LONG else 50

if TYPE_CHECKING:
    from pathlib import Path


def test_loops_one_after_another(cache: CacheManager) -> None:
    async def turn(number: int) -> None:
        await cache.aset("turn", number)
        assert await cache.aincr("turns") == number
        assert await cache.aget("turn") == number

    asyncio.run(turn(1))
    before = descriptors(), threading.active_count()
    for number in range(2, LOOPS + 1):
        asyncio.run(turn(number))
    assert (descriptors(), threading.active_count()) == before
    assert cache.get("turns") == LOOPS


def test_two_loops_in_two_threads_at_once(cache: CacheManager) -> None:
    failures: list[BaseException] = []

    async def work(who: str) -> None:
        async def one(number: int) -> None:
            key = f"{who}-{number}"
            for turn in range(20):
                await cache.aset(key, (who, turn))
                assert await cache.aget(key) == (who, turn)
                await cache.aincr("total")

        await asyncio.gather(*(one(number) for number in range(10)))

    def run(who: str) -> None:
        try:
            asyncio.run(work(who))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(who,)) for who in ("left", "right")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert cache.get("total") == 2 * 10 * 20


def test_a_loop_that_ends_with_calls_under_way_disturbs_no_later_one(cache: CacheManager) -> None:
    async def leave_behind() -> None:
        for number in range(50):
            task = asyncio.ensure_future(cache.aset(f"k{number}", number))
            await asyncio.sleep(0)
            task.cancel()

    for _ in range(5):
        asyncio.run(leave_behind())

    async def after() -> None:
        assert await cache.aset("after", 1)
        assert await cache.aget("after") == 1

    asyncio.run(after())


async def test_a_blocking_call_inside_a_running_loop_works(cache: CacheManager) -> None:
    await cache.aset("k", "from the loop")
    assert cache.get("k") == "from the loop"
    cache.set("k", "blocking")
    assert await cache.aget("k") == "blocking"
    assert list(cache.scan()) == ["k"]


def test_uvloop(cache: CacheManager) -> None:
    async def work() -> None:
        await asyncio.gather(*(cache.aset(f"k{number}", number) for number in range(50)))
        assert await cache.acount() == 50
        assert await cache.aget_many(["k1", "k2"]) == {"k1": 1, "k2": 2}

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work())
        runner.run(work())


def test_under_trio_the_error_names_the_remedy(tmp_path: Path) -> None:
    with CacheManager(FileBackend(tmp_path / "cache.db")) as cache:
        cache.set("k", 1)
        with pytest.raises(UnsupportedLoopError, match=r"asyncio event loop.*blocking"):
            trio.run(cache.aset, "k", 2)
        assert cache.get("k") == 1


def test_under_trio_memory_which_waits_for_nothing_just_works() -> None:
    from symphra_cache.backends import MemoryBackend

    cache = CacheManager(MemoryBackend())

    async def work() -> object:
        await cache.aset("k", 1)
        return await cache.aget("k")

    assert trio.run(work) == 1


@pytest.mark.parametrize("opened_by", ["blocking", "loop"])
@pytest.mark.parametrize("closed_by", ["blocking", "loop"])
def test_either_face_closes_what_the_other_opened(
    cache: CacheManager, opened_by: str, closed_by: str
) -> None:
    before = descriptors()
    if opened_by == "blocking":
        cache.set("k", 1)
    else:
        asyncio.run(cache.aset("k", 1))
    if closed_by == "blocking":
        cache.close()
    else:
        asyncio.run(cache.aclose())
    assert descriptors() == before
    assert not cache.ping()
