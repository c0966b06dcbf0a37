"""A thousand callers on threads and loops, of whom some are cancelled, among errors and writes."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import pytest

from load_checks import PATIENCE, assert_nothing_is_left

if TYPE_CHECKING:
    from symphra_cache import CacheManager

KEYS = [f"k{number}" for number in range(8)]
CALLERS = 1_000
SECONDS = 3.0


class NoSuchRowError(Exception):
    """What the loader raises now and then."""


def asked(draw: random.Random, key: str) -> str | None:
    """Return a key that the load of another asks for: none that comes before, so no circle."""
    behind = KEYS[KEYS.index(key) + 1 :]
    return draw.choice(behind) if behind and draw.random() < 0.3 else None


class Storm:
    """Callers on many threads and loops, some of whom are cancelled, and writers.

    Attributes:
        current: of each key a number that writers raise, and then remove what is cached.
        told: what nobody may see anything older than.
    """

    def __init__(self, cache: CacheManager, seed: int) -> None:
        self.cache = cache
        self.seed = seed
        self.current = dict.fromkeys(KEYS, 0)
        self.told = dict.fromkeys(KEYS, 0)
        self.locks = {key: threading.Lock() for key in KEYS}
        self.end = time.monotonic() + SECONDS
        self.outcomes: dict[str, int] = {"value": 0, "error": 0, "cancelled": 0}

    @property
    def goes_on(self) -> bool:
        return time.monotonic() < self.end

    def note(self, outcome: str) -> None:
        self.outcomes[outcome] += 1

    def load(self, draw: random.Random, key: str, asks: str | None = None) -> int:
        value = self.current[key]
        if asks is not None:
            self.cache.get_or_set(asks, lambda: self.load(draw, asks))
        time.sleep(draw.random() / 1000)
        if draw.random() < 0.1:
            raise NoSuchRowError(key)
        return value

    async def aload(self, draw: random.Random, key: str, asks: str | None = None) -> int:
        value = self.current[key]
        if asks is not None:
            await self.cache.aget_or_set(asks, lambda: self.aload(draw, asks))
        await asyncio.sleep(draw.random() / 100)
        if draw.random() < 0.1:
            raise NoSuchRowError(key)
        return value

    def check(self, told: dict[str, int], found: dict[str, int]) -> None:
        for key, value in found.items():
            assert value >= told[key], f"{key}: {value} was seen after {told[key]} had been told"

    def write(self, seed: int) -> None:
        draw, cache = random.Random(seed), self.cache
        while self.goes_on:
            key = draw.choice(KEYS)
            with self.locks[key]:
                value = self.current[key] = self.current[key] + 1
                how = draw.randrange(5)
                if how == 0:
                    cache.set(key, value)
                elif how == 1:
                    cache.delete_matching(f"{key}*")
                elif how == 2:
                    cache.delete_many([key, "other"])
                elif how == 3:
                    asyncio.run(cache.adelete(key))
                else:
                    cache.delete(key)
                self.told[key] = value
            time.sleep(draw.random() / 200)

    def block(self, seed: int) -> None:
        """Call through the blocking face, in a thread."""
        draw, cache = random.Random(seed), self.cache
        while self.goes_on:
            keys, told = draw.sample(KEYS, 3), dict(self.told)
            try:
                if draw.random() < 0.5:
                    loader = partial(self.load, draw, keys[0], asked(draw, keys[0]))
                    found = {keys[0]: cache.get_or_set(keys[0], loader)}
                else:
                    found = cache.get_or_set_many(
                        keys, lambda keys: {key: self.load(draw, key) for key in keys}
                    )
            except NoSuchRowError:
                self.note("error")
            else:
                self.check(told, found)
                self.note("value")

    async def call(self, draw: random.Random) -> None:
        """Call through the other face, in a task that may be cancelled."""
        cache, keys, told = self.cache, draw.sample(KEYS, 3), dict(self.told)

        async def load_many(keys: list[str]) -> dict[str, int]:
            return {key: await self.aload(draw, key) for key in keys}

        if draw.random() < 0.7:
            loader = partial(self.aload, draw, keys[0], asked(draw, keys[0]))
            value = await cache.aget_or_set(keys[0], loader)
            self.check(told, {keys[0]: value})
        else:
            self.check(told, await cache.aget_or_set_many(keys, load_many))

    async def calls(self, seed: int, tasks: int) -> None:
        draw = random.Random(seed)

        async def caller(draw: random.Random) -> None:
            while self.goes_on:
                task = asyncio.ensure_future(self.call(draw))
                if draw.random() < 0.3:
                    asyncio.get_running_loop().call_later(draw.random() / 50, task.cancel)
                done, _ = await asyncio.wait([task], timeout=PATIENCE)
                assert done, "hangs"
                if task.cancelled():
                    self.note("cancelled")
                elif isinstance(task.exception(), NoSuchRowError):
                    self.note("error")
                else:
                    task.result()
                    self.note("value")

        await asyncio.gather(*(caller(random.Random(draw.random())) for _ in range(tasks)))


@pytest.mark.parametrize("seed", [1])
def test_a_storm_of_cancellations_errors_and_writes(cache: CacheManager, seed: int) -> None:
    """Everybody comes to an end, with a value that is new enough or the loader's error."""
    storm, loops, threads = Storm(cache, seed), 3, 16
    tasks = (CALLERS - threads) // loops
    with ThreadPoolExecutor(loops + threads + 2) as pool:
        calls = [pool.submit(storm.write, seed + number) for number in range(2)]
        calls += [pool.submit(storm.block, seed + number) for number in range(threads)]
        calls += [
            pool.submit(lambda number=number: asyncio.run(storm.calls(seed + number, tasks)))
            for number in range(loops)
        ]
        for call in calls:
            call.result(SECONDS + 2 * PATIENCE)
    print(f"\n{cache.backend.kind}: {storm.outcomes}, {sum(storm.current.values())} writes")
    gc.collect()
    assert_nothing_is_left(cache)
    assert all(storm.outcomes.values())
    for key in KEYS:
        assert cache.get(key, storm.current[key]) == storm.current[key]
        assert cache.get_or_set(key, storm.current[key]) == storm.current[key]
