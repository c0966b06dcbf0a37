"""A master is lost under load: it is followed, nothing is wrong, and it gets no write later."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from redis_sentinel import RedisSentinels, shared_sentinels
from redis_servers import until
from symphra_cache import BackendUnavailableError, CacheManager
from symphra_cache.backends import RedisBackend

# Orders of magnitude: a machine at rest needs two seconds to recover, and one for the longest call.
SECONDS_TO_RECOVER = 20
LONGEST = 10


@pytest.fixture
def sentinels() -> RedisSentinels:
    return shared_sentinels().fresh()


class Load:
    """Threads and tasks that write and read, each a key of its own, until told to stop.

    Attributes:
        acknowledged: the last value of each key whose write was acknowledged.
        wrong: whatever must not be: errors of another kind, values that nobody wrote there.
        longest: seconds that the longest turn took, of two calls.
    """

    def __init__(self, cache: CacheManager, workers: int = 3) -> None:
        self._cache = cache
        self._stopping = threading.Event()
        self.answers = [0] * (2 * workers)
        self.acknowledged: dict[str, int] = {}
        self.wrong: list[object] = []
        self.longest = 0.0
        self._threads = [threading.Thread(target=self._block, args=(n,)) for n in range(workers)]
        numbers = range(workers, 2 * workers)
        self._threads.append(threading.Thread(target=lambda: asyncio.run(self._tasks(numbers))))

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def wait_for_answers(self) -> float:
        """Wait until each worker has got a whole turn through; return how long that took."""
        begun, before = time.monotonic(), list(self.answers)
        until(
            lambda: all(now > then + 1 for now, then in zip(self.answers, before, strict=True)),
            SECONDS_TO_RECOVER,
            lambda: f"{before} {self.answers} {self.wrong}",
        )
        return time.monotonic() - begun

    def _block(self, number: int) -> None:
        key, value = f"k{number}", 0
        while not self._stopping.wait(0.005):
            value, begun = value + 1, time.monotonic()
            try:
                self._cache.set(key, value)
                self._count(number, key, value, self._cache.get(key))
            except BackendUnavailableError:
                continue
            except BaseException as error:
                self.wrong.append(error)
            finally:
                self.longest = max(self.longest, time.monotonic() - begun)

    async def _tasks(self, numbers: range) -> None:
        await asyncio.gather(*map(self._work, numbers))

    async def _work(self, number: int) -> None:
        key, value = f"k{number}", 0
        while not self._stopping.is_set():
            value, begun = value + 1, time.monotonic()
            try:
                await self._cache.aset(key, value)
                self._count(number, key, value, await self._cache.aget(key))
            except BackendUnavailableError:
                pass
            except BaseException as error:
                self.wrong.append(error)
            finally:
                self.longest = max(self.longest, time.monotonic() - begun)
            await asyncio.sleep(0.005)

    def _count(self, number: int, key: str, value: int, read: object) -> None:
        self.acknowledged[key] = value
        self.answers[number] += 1
        # Between the two the master may have changed, and what was not copied yet is lost.
        if not (read is None or (isinstance(read, int) and 0 < read <= value)):
            self.wrong.append((key, value, read))


@pytest.mark.parametrize("loss", ["kill", "pause"])
def test_a_lost_master_is_followed_and_gets_no_write_when_it_is_back(
    sentinels: RedisSentinels, loss: str
) -> None:
    with (
        CacheManager(RedisBackend(sentinels.url)) as cache,
        CacheManager(RedisBackend(sentinels.url), namespace="idle") as idle,
    ):
        assert (idle.incr("n"), asyncio.run(idle.aincr("m"))) == (1, 1)
        with Load(cache) as load:
            load.wait_for_answers()
            lost = sentinels.kill_master() if loss == "kill" else sentinels.pause_master()
            begun = time.monotonic()
            sentinels.wait_for_failover(SECONDS_TO_RECOVER)
            decided = time.monotonic() - begun
            load.wait_for_answers()
            recovered = time.monotonic() - begun
            print(f"\n{loss}: failover after {decided:.1f} s, all answered {recovered:.1f} s")
            if loss == "pause":
                lost.resume()
            sentinels.restart()
            load.wait_for_answers()
        print(f"longest turn {load.longest:.2f} s")
        assert not load.wrong
        assert load.longest < LONGEST
        assert sentinels.replica_server is lost
        master = sentinels.master_server
        for key, value in load.acknowledged.items():
            assert int(master.command("GET", f"symphra:{key}")) >= value
        for _ in range(2):  # the first may meet the end of its connection
            try:
                idle.set("n", "new")
                break
            except BackendUnavailableError:
                continue
        assert master.command("GET", "idle:n") is not None
        assert idle.get("n") == "new"
