# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""Operations on one entry: what each returns, and what it leaves behind."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING

from symphra_cache import MISSING, CacheManager

if TYPE_CHECKING:
    from ..backends import Kit

# Values that a careless cache takes for nothing.
FALSY = (None, False, 0, 0.0, "", b"", [], {}, (), set())


async def test_the_example_of_the_readme(kit: Kit) -> None:
    cache = CacheManager(kit.make())
    async with cache:
        assert await cache.aset("user:123", {"name": "张三", "age": 30}, ttl=3600)
        user = await cache.aget("user:123")
        assert user == {"name": "张三", "age": 30}
        left = await cache.attl("user:123")
        assert left is not None
        assert 3_599 < left <= 3_600


async def test_get_returns_the_value(cache: CacheManager) -> None:
    await cache.aset("k", "value")
    assert await cache.aget("k") == "value"
    assert await cache.aget("k", "default") == "value"
    assert await cache.aget("k") == "value"


async def test_get_of_a_missing_key_returns_the_default(cache: CacheManager) -> None:
    default = object()
    assert await cache.aget("absent") is None
    assert await cache.aget("absent", default) is default
    assert await cache.aget("absent", default=default) is default
    assert await cache.aget("absent", MISSING) is MISSING
    assert not await cache.aexists("absent")  # the default was not stored


async def test_a_stored_value_that_is_falsy_is_a_hit(cache: CacheManager) -> None:
    for value in FALSY:
        await cache.aset("k", value)
        assert await cache.aget("k", "default") == value
        assert await cache.aget("k", MISSING) == value
        assert await cache.aexists("k")
        assert await cache.aget_many(["k"]) == {"k": value}
        assert not await cache.aadd("k", "other")
        assert await cache.atouch("k", 60)
        assert await cache.apop("k", "default") == value
        assert not await cache.aexists("k")


async def test_stored_none_is_a_hit(cache: CacheManager) -> None:
    await cache.aset("k", None)
    assert await cache.aget("k", "default") is None
    assert await cache.aget("k", MISSING) is None
    assert await cache.apop("k", "default") is None
    assert await cache.aget("k", MISSING) is MISSING


def test_missing_is_one_falsy_object() -> None:
    assert repr(MISSING) == "MISSING"
    assert not MISSING
    assert MISSING is not None
    for copied in (copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))):
        assert copied(MISSING) is MISSING


async def test_set_returns_true(cache: CacheManager) -> None:
    assert await cache.aset("k", 1) is True
    assert await cache.aset("k", 2) is True
    assert await cache.aset("k", None, ttl=5) is True
    assert await cache.aset("k", False, None) is True


async def test_set_replaces_value_and_ttl(cache: CacheManager) -> None:
    await cache.aset("k", [1], ttl=50)
    await cache.aset("k", "text")
    assert await cache.aget("k") == "text"
    assert await cache.attl("k") is None
    assert await cache.acount() == 1


async def test_set_replaces_a_value_by_one_of_any_other_type(cache: CacheManager) -> None:
    for value in (1, "text", None, [1], {"a": [b"x"]}, 2**70, 1.5, bytearray(b"x"), -1, (1,)):
        await cache.aset("k", value)
        found = await cache.aget("k")
        assert (type(found), found) == (type(value), value)


async def test_add_stores_what_was_absent(cache: CacheManager) -> None:
    assert await cache.aadd("k", "first") is True
    assert await cache.aget("k") == "first"
    assert await cache.attl("k") is None
    assert await cache.aadd("other", "value", ttl=50) is True
    left = await cache.attl("other")
    assert left is not None
    assert 49 < left <= 50


async def test_add_leaves_alone_what_is_there(cache: CacheManager) -> None:
    for value in ("text", 7, None, [1]):
        await cache.aset("k", value)
        assert await cache.aadd("k", "second") is False
        assert await cache.aadd("k", value) is False
        assert await cache.aget("k", MISSING) == value


async def test_add_stores_again_what_was_removed(cache: CacheManager) -> None:
    for remove in (cache.adelete, cache.apop):
        await cache.aset("k", "first")
        await remove("k")
        assert await cache.aadd("k", "second") is True
        assert await cache.aget("k") == "second"


async def test_pop_returns_the_value_and_removes_it(cache: CacheManager) -> None:
    for value in ("text", 7, [1], {"a": [1]}, b"bytes"):
        await cache.aset("k", value, ttl=50)
        assert await cache.apop("k") == value
        assert not await cache.aexists("k")
        assert await cache.apop("k") is None


async def test_pop_of_a_missing_key_returns_the_default(cache: CacheManager) -> None:
    default = object()
    assert await cache.apop("absent") is None
    assert await cache.apop("absent", default) is default
    assert await cache.apop("absent", default=MISSING) is MISSING


async def test_pop_and_delete_leave_other_keys_alone(cache: CacheManager) -> None:
    await cache.aset_many({"k": 1, "k2": 2, "K": 3, "k ": 4})
    await cache.apop("k")
    await cache.adelete("k2")
    assert await cache.aget_many(["k", "k2", "K", "k "]) == {"K": 3, "k ": 4}


async def test_delete_tells_whether_the_entry_existed(cache: CacheManager) -> None:
    assert await cache.adelete("k") is False
    for value in (None, 7, [1]):
        await cache.aset("k", value)
        assert await cache.adelete("k") is True
        assert await cache.adelete("k") is False
        assert await cache.aget("k", MISSING) is MISSING


async def test_exists_tells_whether_something_lives_there(cache: CacheManager) -> None:
    assert await cache.aexists("k") is False
    await cache.aset("k", None)
    assert await cache.aexists("k") is True
    await cache.aset("k", 1, ttl=50)
    assert await cache.aexists("k") is True
    await cache.adelete("k")
    assert await cache.aexists("k") is False


async def test_touch_tells_whether_the_entry_existed(cache: CacheManager) -> None:
    assert await cache.atouch("k", 50) is False
    assert await cache.atouch("k") is False
    assert await cache.atouch("k", None) is False
    assert not await cache.aexists("k")
    await cache.aset("k", 1)
    assert await cache.atouch("k", 50) is True


async def test_touch_gives_a_new_ttl_and_keeps_the_value(cache: CacheManager) -> None:
    for value in (7, "text", [1], None):
        for first in (None, 5, 500):
            await cache.aset("k", value, ttl=first)
            assert await cache.atouch("k", 50) is True
            left = await cache.attl("k")
            assert left is not None
            assert 49 < left <= 50
            assert await cache.aget("k", MISSING) == value


async def test_touch_with_none_persists(cache: CacheManager) -> None:
    await cache.aset("k", 1, ttl=50)
    assert await cache.atouch("k", None) is True
    assert await cache.attl("k") is None
    assert await cache.atouch("k", None) is True


async def test_touched_counters_go_on_counting(cache: CacheManager) -> None:
    await cache.aset("k", 1)
    await cache.atouch("k", 50)
    assert await cache.aincr("k") == 2
    assert await cache.attl("k") is not None


async def test_ttl_of_a_missing_key_is_zero(cache: CacheManager) -> None:
    left = await cache.attl("absent")
    assert (type(left), left) == (float, 0.0)


async def test_ttl_of_what_never_expires_is_none(cache: CacheManager) -> None:
    await cache.aset("k", 1)
    assert await cache.attl("k") is None


async def test_ttl_is_seconds(cache: CacheManager) -> None:
    await cache.aset("k", 1, ttl=50)
    left = await cache.attl("k")
    assert isinstance(left, float)
    assert 49 < left <= 50


async def test_reading_operations_change_nothing(cache: CacheManager) -> None:
    await cache.aset("k", [1], ttl=50)
    for _ in range(3):
        assert await cache.aexists("k")
        assert await cache.aget("k") == [1]
        assert await cache.attl("k")
        assert await cache.acount() == 1
    left = await cache.attl("k")
    assert left is not None
    assert 49 < left <= 50
