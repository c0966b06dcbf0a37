"""Loads, removals and a server that comes and goes: nothing outdated is ever seen."""

from __future__ import annotations

import asyncio
import random
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from load_checks import PATIENCE
from symphra_cache import BackendUnavailableError, CacheManager

if TYPE_CHECKING:
    from loads_in_outages import World

SECONDS = 4.0


class Source:
    """A number that a writer raises; then it tells the cache, and from then on it is known.

    Attributes:
        current: the number.
        told: nothing older may be seen any more.
    """

    def __init__(self, cache: CacheManager) -> None:
        self.cache = cache
        self.current = self.told = 0
        self.seen = 0
        self.end = time.monotonic() + SECONDS

    @property
    def goes_on(self) -> bool:
        return time.monotonic() < self.end

    def load(self) -> int:
        value = self.current
        time.sleep(random.random() / 500)
        return value

    async def aload(self) -> int:
        value = self.current
        await asyncio.sleep(random.random() / 500)
        return value

    def write(self) -> None:
        while self.goes_on:
            self.current += 1
            self.tell()
            self.told = self.current
            time.sleep(random.random() / 200)

    def tell(self) -> None:
        while True:
            with suppress(BackendUnavailableError):
                self.cache.delete("k")
                return

    def check(self, told: int, found: int) -> None:
        assert found >= told, f"{found} was seen after {told} had been told"
        self.seen += 1

    def read(self) -> None:
        while self.goes_on:
            told = self.told
            self.check(told, self.cache.get_or_set("k", self.load))

    async def aread(self) -> None:
        while self.goes_on:
            told = self.told
            self.check(told, await self.cache.aget_or_set("k", self.aload))
            await asyncio.sleep(0)

    async def aread_all(self) -> None:
        await asyncio.gather(*(self.aread() for _ in range(8)))


@pytest.mark.parametrize("world", ["stopped", "paused"], indirect=True)
def test_nothing_outdated_is_seen_while_a_server_comes_and_goes(world: World) -> None:
    source = Source(world.cache)
    with ThreadPoolExecutor(6) as pool:
        calls = [pool.submit(source.write)]
        calls += [pool.submit(source.read) for _ in range(3)]
        calls += [pool.submit(lambda: asyncio.run(source.aread_all())) for _ in range(2)]
        while source.goes_on:
            time.sleep(random.random() / 2)
            world.begin()
            time.sleep(random.random() / 2)
            world.end()
        for call in calls:
            call.result(PATIENCE)
    print(f"{source.current} writes, {source.seen} values seen")
    assert source.current > 5
    assert source.seen > 50
