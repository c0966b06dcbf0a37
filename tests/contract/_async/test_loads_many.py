# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""``get_or_set_many``: what is missing of many keys is loaded by one call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from symphra_cache import MISSING

from ..acompat import arace, asleep, aspawn
from .test_loads import SOON, WRITES, Loader, auntil

if TYPE_CHECKING:
    from collections.abc import Iterable

    from symphra_cache import CacheManager

    from ..backends import Kit


class ManyLoader:
    """Notes what it was asked for."""

    def __init__(self, left_out: Iterable[str] = (), seconds: float = 0.0) -> None:
        self.left_out = set(left_out)
        self.seconds = seconds
        self.asked: list[list[str]] = []

    async def aload(self, keys: list[str]) -> dict[str, Any]:
        self.asked.append(list(keys))
        await asleep(self.seconds)
        return {key: key.upper() for key in reversed(keys) if key not in self.left_out}


async def test_what_is_missing_of_many_is_loaded_by_one_call(cache: CacheManager) -> None:
    loader = ManyLoader()
    await cache.aset("b", "stored")
    found = await cache.aget_or_set_many(["c", "b", "a", "c"], loader.aload, ttl=60)
    assert list(found.items()) == [("c", "C"), ("b", "stored"), ("a", "A")]
    assert loader.asked == [["c", "a"]]
    assert await cache.aget_many(["a", "b", "c"]) == {"a": "A", "b": "stored", "c": "C"}
    assert 0 < (await cache.attl("a") or 0) <= 60
    assert await cache.aget_or_set_many(["a", "b"], loader.aload) == {"a": "A", "b": "stored"}
    assert await cache.aget_or_set_many([], loader.aload) == {}
    assert len(loader.asked) == 1


@pytest.mark.parametrize("jitter", [0.0, 0.1])
async def test_many_are_stored_with_the_ttl_of_each(cache: CacheManager, jitter: float) -> None:
    def ttl(value: int) -> float | None:
        return (None, 100.0, 200.0)[value % 3]

    wanted = {f"k{number}": number for number in range(9)}
    found = await cache.aget_or_set_many(wanted, lambda keys: wanted, ttl=ttl, jitter=jitter)
    assert found == wanted
    for key, number in wanted.items():
        left = await cache.attl(key)
        expected = ttl(number)
        if expected is None or left is None:
            assert left == expected
        else:
            assert expected * (1 - jitter) - 5 < left <= expected * (1 + jitter)
    assert cache.stats().sets == 9


async def test_what_the_loader_leaves_out_is_left_out(cache: CacheManager) -> None:
    loader = ManyLoader(left_out=["b"])
    assert await cache.aget_or_set_many(["a", "b"], loader.aload) == {"a": "A"}
    assert await cache.aget("b", MISSING) is MISSING
    assert await cache.aget_or_set_many(["a", "b"], loader.aload) == {"a": "A"}
    assert loader.asked == [["a", "b"], ["b"]]


async def test_what_the_loader_adds_is_ignored(cache: CacheManager) -> None:
    assert await cache.aget_or_set_many(["a"], lambda keys: {"a": 1, "z": 2}) == {"a": 1}
    assert await cache.aget("z", MISSING) is MISSING


async def test_many_at_once_share_loads(cache: CacheManager) -> None:
    loader = ManyLoader(seconds=SOON)
    single = Loader("C", seconds=SOON)

    async def acall(who: int) -> Any:
        if who % 3 == 0:
            return await cache.aget_or_set_many(["a", "b", "c"], loader.aload)
        if who % 3 == 1:
            return await cache.aget_or_set_many(["c", "b", "d"], loader.aload)
        return {"c": await cache.aget_or_set("c", single.aload)}

    answers = await arace(acall)
    for who, answer in enumerate(answers):
        wanted = (["a", "b", "c"], ["c", "b", "d"], ["c"])[who % 3]
        assert answer == {key: key.upper() for key in wanted}
    asked = [key for keys in loader.asked for key in keys]
    assert len(asked) == len(set(asked))
    assert single.calls + asked.count("c") == 1


async def test_who_waits_for_a_key_that_was_left_out_loads_it(cache: CacheManager) -> None:
    loader = ManyLoader(left_out=["a"], seconds=0.2)
    running = await aspawn(lambda: cache.aget_or_set_many(["a", "b"], loader.aload))
    await auntil(lambda: loader.asked)
    assert await cache.aget_or_set("a", "own") == "own"
    assert await running.afinish() == {"b": "B"}


@pytest.mark.parametrize("name", WRITES)
async def test_a_write_is_never_undone_by_a_load_of_many(kit: Kit, name: str) -> None:
    write, wanted = WRITES[name]
    cache, other = kit.open(), kit.open()
    loader = ManyLoader(seconds=0.2)
    running = await aspawn(lambda: cache.aget_or_set_many(["k", "l"], loader.aload))
    await auntil(lambda: loader.asked)
    await write(other)
    assert await running.afinish() == {"k": "K", "l": "L"}
    assert await cache.aget("k", MISSING) == wanted
    left = MISSING if name == "clear" else "L"
    assert await cache.aget("l", MISSING) == left
