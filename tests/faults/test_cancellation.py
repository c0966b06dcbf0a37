"""A call is cancelled at each of its awaits, one after another: nobody else may notice.

Whatever was cancelled, the calls beside it and the next hundred get the right answers, and what
it was about to write is there whole or not at all.
"""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from interruptions import CANCELS, Interrupted, awaited
from memory_checks import LONG
from near_links import entries_of, near_of, wait_linked
from symphra_cache import CacheClosedError, CacheManager
from symphra_cache.backends import RedisBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

OLD, NEW = ["old"] * 50, ["new"] * 50
BEFORE = {"k": OLD, "l": OLD, "n": 1}
PATIENCE = 20  # seconds, for what takes milliseconds


async def scan(cache: CacheManager) -> list[str]:
    return [key async for key in cache.ascan()]


async def enter(cache: CacheManager) -> None:
    async with cache.namespace("inner"):
        await asyncio.sleep(0)


async def load() -> list[str]:
    await asyncio.sleep(0)
    return NEW


async def load_many(keys: list[str]) -> dict[str, list[str]]:
    await asyncio.sleep(0)
    return dict.fromkeys(keys, NEW)


async def reload(cache: CacheManager) -> None:
    if (areload := getattr(cache.backend, "areload", None)) is not None:
        await areload()


CALLS: dict[str, Callable[[CacheManager], Coroutine[Any, Any, Any]]] = {
    "aget": lambda cache: cache.aget("k"),
    "aset": lambda cache: cache.aset("k", NEW, 60),
    "aadd": lambda cache: cache.aadd("m", NEW),
    "apop": lambda cache: cache.apop("k"),
    "adelete": lambda cache: cache.adelete("k"),
    "aexists": lambda cache: cache.aexists("k"),
    "atouch": lambda cache: cache.atouch("k", 60),
    "attl": lambda cache: cache.attl("k"),
    "aincr": lambda cache: cache.aincr("n", 5),
    "adecr": lambda cache: cache.adecr("n", 5),
    "aget_many": lambda cache: cache.aget_many(["k", "l", "m"]),
    "aset_many": lambda cache: cache.aset_many({"k": NEW, "l": NEW}),
    "adelete_many": lambda cache: cache.adelete_many(["k", "l"]),
    "ascan": scan,
    "adelete_matching": lambda cache: cache.adelete_matching("*"),
    "acount": lambda cache: cache.acount(),
    "aclear": lambda cache: cache.aclear(),
    "aget_or_set": lambda cache: cache.aget_or_set("m", load),
    "aget_or_set_many": lambda cache: cache.aget_or_set_many(["k", "m"], load_many),
    "aping": lambda cache: cache.aping(),
    "__aenter__": enter,
    "areload": reload,
}
CLOSING = {"aclose"}  # has a test of its own


async def state(cache: CacheManager) -> dict[str, Any]:
    return await cache.aget_many(["k", "l", "m", "n"])


async def neighbour(cache: CacheManager, salt: str, number: int) -> None:
    """Make five calls beside the one that is cancelled, and after it."""
    key = f"neighbour-{number}"
    await cache.aset(key, (salt, number))
    assert await cache.aget(key) == (salt, number)
    assert await cache.aincr(f"count-{salt}-{number}", number) == number
    assert await cache.aget_many([key, "absent"]) == {key: (salt, number)}
    assert await cache.apop(key) == (salt, number)


class Attempts:
    """Calls on one cache that are cancelled, each with neighbours and in a namespace of its own."""

    def __init__(self, cache: CacheManager) -> None:
        self.cache = cache
        self.made = self.cancelled = 0

    async def prepared(self) -> CacheManager:
        self.made += 1
        name = f"victim-{self.made}"
        victim = self.cache.namespace(name)
        await victim.aset_many(BEFORE)
        if has_near_cache(victim):  # it would keep nothing of what is read before
            wait_linked(redis_of(victim), f"symphra/{name}")
        return victim

    async def state_after(self, name: str) -> dict[str, Any]:
        """Return what stands there when nobody cancels the call."""
        victim = await self.prepared()
        await CALLS[name](victim)
        return await state(victim)

    async def attempt(
        self, name: str, work: Coroutine[Any, Any, Any], turns: int | None = None
    ) -> bool:
        """Run the work, with neighbours; tell whether it was cancelled.

        Args:
            name: what is called.
            work: the call.
            turns: of the loop after which it is cancelled, if it does not see to that itself.
        """
        salt = f"{name}-{self.made}"
        others = [asyncio.ensure_future(neighbour(self.cache, salt, n)) for n in range(5)]
        await asyncio.sleep(0)
        victim = asyncio.ensure_future(work)
        if turns is not None:
            await cancel_after(victim, turns)
        await asyncio.wait([victim], timeout=PATIENCE)
        assert victim.done(), f"{name} hangs"
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*others)
            await asyncio.gather(*(neighbour(self.cache, f"{salt}+", n) for n in range(15)))
            for number in range(5):
                await neighbour(self.cache, f"{salt}-", number)
        if victim.cancelled():
            self.cancelled += 1
            return True
        victim.result()
        return False

    async def check_state(self, name: str, victim: CacheManager, after: dict[str, Any]) -> None:
        if has_near_cache(victim):
            # Before somebody reads, who would share a mark that was left, and take it away.
            assert not near_of(redis_of(victim)).table._marks
        found = await state(victim)
        # Removal by pattern and `clear` act key by key; so do bulk calls on some servers.
        if found not in (BEFORE, after):
            assert name in ("adelete_matching", "aclear") or victim.backend.kind == "redis", found
            assert all(found.get(key) in (BEFORE.get(key), after.get(key)) for key in "klmn")
        if has_near_cache(victim):
            await self.check_near(victim, found)

    async def check_near(self, victim: CacheManager, found: dict[str, Any]) -> None:
        """Check that what is read is kept, as ever."""
        backend = redis_of(victim)
        names = {f"symphra/victim-{self.made}:{key}" for key in found}
        async with asyncio.timeout(PATIENCE):
            while not names <= set(entries_of(backend)):
                assert await state(victim) == found
                await asyncio.sleep(0)


def redis_of(cache: CacheManager) -> RedisBackend:
    assert isinstance(cache.backend, RedisBackend)
    return cache.backend


def has_near_cache(cache: CacheManager) -> bool:
    return isinstance(cache.backend, RedisBackend) and cache.backend._store.near is not None


async def cancel_after(victim: asyncio.Future[Any], turns: int) -> None:
    """Cancel a task after so many turns of the loop, if it is still there."""
    for _ in range(turns):
        await asyncio.sleep(0)
        if victim.done():
            return
    victim.cancel()


def test_every_public_coroutine_is_cancelled_here() -> None:
    names = set(dir(CacheManager))
    public = {name for name in names if name[0] == "a" and name[1:] in names}
    assert public
    assert not public - CALLS.keys() - CLOSING, "say in CALLS how they are called"


@pytest.mark.parametrize("cancel", CANCELS)
async def test_a_call_cancelled_at_any_await_hurts_nobody(
    cache: CacheManager, cancel: Callable[[Any], None]
) -> None:
    attempts = Attempts(cache)
    for name, call in CALLS.items():
        after = await attempts.state_after(name)
        for place in count(1):
            victim = await attempts.prepared()
            work = Interrupted(call(victim), place, cancel)
            await attempts.attempt(name, awaited(work))
            await attempts.check_state(name, victim, after)
            if work.waits < place:
                break
    assert len(asyncio.all_tasks()) == 1
    print(f"\n{cache.backend.kind}: {attempts.cancelled} of {attempts.made} calls cancelled")
    assert attempts.cancelled or cache.backend.kind == "memory"


async def test_a_call_cancelled_at_any_turn_of_the_loop_hurts_nobody(cache: CacheManager) -> None:
    attempts = Attempts(cache)
    for name, call in CALLS.items():
        after = await attempts.state_after(name)
        turns = 0
        while True:
            turns += 1 + (turns // 8 if LONG else 2 * turns)
            victim = await attempts.prepared()
            was_cancelled = await attempts.attempt(name, call(victim), turns)
            await attempts.check_state(name, victim, after)
            if not was_cancelled:
                break
    assert len(asyncio.all_tasks()) == 1
    print(f"\n{cache.backend.kind}: {attempts.cancelled} of {attempts.made} calls cancelled")


@pytest.mark.parametrize("cancel", CANCELS)
async def test_a_cancelled_close_can_be_repeated(
    cache: CacheManager, cancel: Callable[[Any], None]
) -> None:
    """A manager is closed once, so this tries the first of its awaits."""
    await cache.aset("k", OLD)
    assert await cache.aget("k") == OLD
    writes = [asyncio.ensure_future(cache.aset(f"k{number}", number)) for number in range(20)]
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(awaited(Interrupted(cache.aclose(), 1, cancel)))
    await asyncio.wait([closing], timeout=PATIENCE)
    assert closing.done()
    async with asyncio.timeout(PATIENCE):
        outcomes = await asyncio.gather(*writes, return_exceptions=True)
        await cache.aclose()
    assert {type(outcome) for outcome in outcomes} <= {bool, CacheClosedError}
    with pytest.raises(CacheClosedError):
        await cache.aget("k")
    assert not await cache.aping()
