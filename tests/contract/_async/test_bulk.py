# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""Operations on many keys at once."""

from __future__ import annotations

from collections import UserDict
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest

from symphra_cache import (
    CacheError,
    InvalidKeyError,
    InvalidTTLError,
    SerializationError,
    ValueTooLargeError,
)

from .. import samples

if TYPE_CHECKING:
    from collections.abc import Iterator

    from symphra_cache import CacheManager

    from ..backends import Kit

NO_KEYS = ("abc", "", b"abc", bytearray(b"abc"), 1, None, True, 1.5, object())


def letters() -> Iterator[str]:
    yield from "cab"


def broken(error: Exception) -> Iterator[str]:
    yield "a"
    raise error


async def test_get_many_returns_the_hits_in_the_order_asked(cache: CacheManager) -> None:
    await cache.aset_many({"a": 1, "b": 2, "c": 3})
    found = await cache.aget_many(["c", "absent", "a", "b", "gone"])
    assert type(found) is dict
    assert list(found.items()) == [("c", 3), ("a", 1), ("b", 2)]
    assert list(await cache.aget_many(["b", "a", "c"])) == ["b", "a", "c"]


async def test_get_many_asks_for_each_key_once(cache: CacheManager) -> None:
    await cache.aset_many({"a": 1, "b": 2})
    found = await cache.aget_many(["b", "a", "b", "absent", "a", "absent"])
    assert list(found.items()) == [("b", 2), ("a", 1)]
    assert (cache.stats().hits, cache.stats().misses) == (2, 1)


async def test_get_many_takes_any_iterable(cache: CacheManager) -> None:
    await cache.aset_many({"a": 1, "b": 2, "c": 3})
    everything = {"a": 1, "b": 2, "c": 3}
    assert list(await cache.aget_many(letters())) == ["c", "a", "b"]
    for keys in (("a", "b", "c"), {"a", "b", "c"}, everything, everything.keys(), iter("abc")):
        assert await cache.aget_many(keys) == everything


async def test_get_many_of_nothing_is_nothing(cache: CacheManager) -> None:
    await cache.aset("a", 1)
    assert await cache.aget_many([]) == {}
    assert await cache.aget_many(iter(())) == {}
    assert await cache.aget_many(["absent"]) == {}


async def test_get_many_of_stored_none_is_a_hit(cache: CacheManager) -> None:
    await cache.aset_many({"a": None, "b": 0})
    assert await cache.aget_many(["a", "b", "c"]) == {"a": None, "b": 0}


async def test_get_many_takes_thousands_of_keys(cache: CacheManager) -> None:
    everything = {f"k{number}": number for number in range(2_500)}
    assert await cache.aset_many(everything) == []
    asked = [f"k{number}" for number in range(2_999, -1, -1)]
    found = await cache.aget_many(asked)
    assert found == everything
    assert list(found) == asked[500:]
    assert await cache.adelete_many(asked) == 2_500


@pytest.mark.parametrize("operation", ["aget_many", "adelete_many"])
async def test_a_single_key_is_refused(cache: CacheManager, operation: str) -> None:
    await cache.aset_many({"a": 1, "b": 2, "c": 3, "abc": 4})
    for keys in NO_KEYS:
        with pytest.raises(InvalidKeyError, match="keys") as caught:
            await getattr(cache, operation)(keys)
        assert type(keys).__name__ in str(caught.value)
    assert await cache.acount() == 4


@pytest.mark.parametrize("operation", ["aget_many", "adelete_many"])
async def test_one_wrong_key_among_many_is_refused(cache: CacheManager, operation: str) -> None:
    await cache.aset_many({"a": 1, "b": 2})
    for wrong in (1, None, b"a", "", "a" * 1025, "\ud800", ["a"]):
        with pytest.raises(InvalidKeyError):
            await getattr(cache, operation)(["a", wrong, "b"])
    assert await cache.acount() == 2


@pytest.mark.parametrize("operation", ["aget_many", "adelete_many"])
async def test_the_error_of_an_iterable_is_its_own(cache: CacheManager, operation: str) -> None:
    await cache.aset("a", 1)
    for error in (LookupError("its own"), TypeError("its own"), ValueError("its own")):
        with pytest.raises(type(error), match="its own") as caught:
            await getattr(cache, operation)(broken(error))
        assert caught.value is error
    assert await cache.aexists("a")


async def test_set_many_stores_all_and_returns_no_failed_key(cache: CacheManager) -> None:
    values = {"a": 1, "b": None, "c": [1, [2]], "d": "text"}
    assert await cache.aset_many(values) == []
    assert await cache.aget_many(values) == values
    assert await cache.acount() == 4


async def test_set_many_replaces_value_and_ttl(cache: CacheManager) -> None:
    await cache.aset("a", "old", ttl=50)
    await cache.aset("b", "old")
    await cache.aset_many({"a": "new", "b": "new"}, ttl=500)
    for key in ("a", "b"):
        assert await cache.aget(key) == "new"
        left = await cache.attl(key)
        assert left is not None
        assert 499 < left <= 500
    await cache.aset_many({"a": "newer"}, None)
    assert await cache.attl("a") is None


async def test_set_many_takes_any_mapping(cache: CacheManager) -> None:
    for mapping in (UserDict({"a": 1}), MappingProxyType({"a": 1}), {"a": 1}):
        await cache.aclear()
        assert await cache.aset_many(mapping) == []
        assert await cache.aget("a") == 1


async def test_set_many_of_nothing_stores_nothing(cache: CacheManager) -> None:
    assert await cache.aset_many({}) == []
    assert await cache.aset_many({}, ttl=0) == []
    assert await cache.acount() == 0


async def test_set_many_refuses_what_is_no_mapping(cache: CacheManager) -> None:
    wrong: tuple[Any, ...] = ([("a", 1)], "ab", None, 1, {"a", "b"}, ["ab"], iter(()))
    for mapping in wrong:
        with pytest.raises(CacheError, match="mapping") as caught:
            await cache.aset_many(mapping)
        assert type(mapping).__name__ in str(caught.value)
    assert await cache.acount() == 0


async def test_set_many_with_a_wrong_key_writes_nothing(cache: CacheManager) -> None:
    await cache.aset("a", "old")
    wrong: tuple[Any, ...] = (1, None, b"k", "", "k" * 1025, "\ud800", ("k",))
    for key in wrong:
        with pytest.raises(InvalidKeyError):
            await cache.aset_many({"a": "new", "b": "new", key: "new", "c": "new"})
        with pytest.raises(InvalidKeyError):
            await cache.aset_many({"a": "new", key: "new"}, ttl=0)
    assert await cache.aget("a") == "old"
    assert await cache.acount() == 1


async def test_set_many_with_a_wrong_value_writes_nothing(cache: CacheManager) -> None:
    wrong, path, _ = samples.UNSTORABLE["socket"]
    await cache.aset("a", "old")
    for ttl in (None, 50, 0):
        with pytest.raises(SerializationError) as caught:
            await cache.aset_many({"a": "new", "b": "new", "k": wrong, "c": "new"}, ttl=ttl)
        assert path in str(caught.value)
    assert await cache.aget("a") == "old"
    assert await cache.acount() == 1


async def test_set_many_with_a_wrong_ttl_writes_nothing(cache: CacheManager) -> None:
    await cache.aset("a", "old")
    for ttl in (True, "60", float("nan"), 10**12):
        with pytest.raises(InvalidTTLError):
            await cache.aset_many({"a": "new", "b": "new"}, ttl=ttl)  # type: ignore[arg-type]
    assert await cache.aget("a") == "old"
    assert await cache.acount() == 1


@pytest.mark.needs("serializer")
async def test_set_many_with_a_value_too_large_writes_nothing(kit: Kit) -> None:
    cache = kit.open(kit.make(max_value_bytes=100))
    await cache.aset("a", "old")
    with pytest.raises(ValueTooLargeError):
        await cache.aset_many({"a": "new", "b": "new", "large": "x" * 101})
    assert await cache.aget("a") == "old"
    assert await cache.acount() == 1


async def test_delete_many_counts_what_existed(cache: CacheManager) -> None:
    await cache.aset_many({"a": 1, "b": None, "c": [1], "d": 4})
    assert await cache.adelete_many(["a", "absent", "b", "a", "c"]) == 3
    assert await cache.adelete_many(["a", "b", "c"]) == 0
    assert await cache.adelete_many([]) == 0
    assert await cache.aget("d") == 4
    assert await cache.acount() == 1


async def test_delete_many_takes_any_iterable(cache: CacheManager) -> None:
    for keys in (letters(), ("a", "b", "c"), {"a": 1, "b": 2, "c": 3}, {"a", "b", "c"}):
        await cache.aset_many({"a": 1, "b": 2, "c": 3, "d": 4})
        assert await cache.adelete_many(keys) == 3
        assert await cache.acount() == 1
