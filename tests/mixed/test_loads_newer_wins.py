"""Newer wins: no load undoes a write or a removal that it overlaps, whoever does what, and when."""

from __future__ import annotations

import asyncio
import random
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from symphra_cache import MISSING, CacheManager

if TYPE_CHECKING:
    from collections.abc import Callable

KEYS = ("a", "b", "c")
SECONDS = 2.0


class Source:
    """What is cached: each key a number that one writer raises, and then tells the cache.

    Attributes:
        current: the numbers.
        told: those since whose writer's call has returned, nothing older may be seen.
    """

    def __init__(self, cache: CacheManager) -> None:
        self.cache = cache
        self.current = dict.fromkeys(KEYS, 0)
        self.told = dict.fromkeys(KEYS, 0)
        self.end = time.monotonic() + SECONDS
        self.writes = self.loads = self.hits = 0

    @property
    def goes_on(self) -> bool:
        return time.monotonic() < self.end

    def load(self, key: str) -> int:
        value = self.current[key]
        if random.random() < 0.5:
            time.sleep(random.random() / 500)
        self.loads += 1
        return value

    async def aload(self, key: str) -> int:
        value = self.current[key]
        if random.random() < 0.5:
            await asyncio.sleep(random.random() / 500)
        self.loads += 1
        return value

    def write(self, key: str) -> None:
        cache, random_ = self.cache, random.Random(key)
        calls: list[Callable[[int], Any]] = [
            lambda value: cache.set(key, value),
            lambda value: cache.set_many({key: value}),
            lambda value: cache.delete(key),
            lambda value: cache.pop(key),
            lambda value: cache.delete_many([key, "other"]),
            lambda value: cache.delete_matching(f"{key}*"),
            lambda value: cache.clear(),
        ]
        while self.goes_on:
            value = self.current[key] = self.current[key] + 1
            random_.choice(calls)(value)
            self.told[key] = value
            self.writes += 1
            time.sleep(random_.random() / 1000)

    def check(self, key: str, told: int, seen: object) -> None:
        if seen is not MISSING:
            assert isinstance(seen, int)
            assert seen >= told, f"{key}: {seen} was seen after {told} had been told"
            self.hits += 1

    def read(self) -> None:
        while self.goes_on:
            key = random.choice(KEYS)
            told = self.told[key]
            if random.random() < 0.3:
                self.check(key, told, self.cache.get(key, MISSING))
            elif random.random() < 0.3:
                found = self.cache.get_or_set_many(
                    [key], lambda keys: {each: self.load(each) for each in keys}
                )
                self.check(key, told, found[key])
            else:
                self.check(key, told, self.cache.get_or_set(key, lambda key=key: self.load(key)))

    async def aread(self) -> None:
        while self.goes_on:
            key = random.choice(KEYS)
            told = self.told[key]
            if random.random() < 0.3:
                self.check(key, told, await self.cache.aget(key, MISSING))
            else:
                found = await self.cache.aget_or_set(key, lambda key=key: self.aload(key))
                self.check(key, told, found)
            await asyncio.sleep(0)

    async def aread_all(self) -> None:
        await asyncio.gather(*(self.aread() for _ in range(8)))


def test_no_load_undoes_what_it_overlaps(cache: CacheManager) -> None:
    source = Source(cache)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(8) as pool:
            calls = [pool.submit(source.write, key) for key in KEYS]
            calls += [pool.submit(source.read) for _ in range(4)]
            calls.append(pool.submit(lambda: asyncio.run(source.aread_all())))
            for call in calls:
                call.result(60)
    finally:
        sys.setswitchinterval(interval)
    print(f"{source.writes} writes, {source.loads} loads, {source.hits} values seen")
    assert source.writes > 50
    assert source.loads > 50
    assert threading.active_count() < 20
    for key in KEYS:
        assert cache.get(key, source.current[key]) == source.current[key]
