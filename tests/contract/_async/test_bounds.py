# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""What a bounded file promises: never too many entries, and the least recently written go first."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from symphra_cache import CacheError, CacheManager, ConfigurationError, ValueTooLargeError

from ..acompat import acollect

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ..acompat import SteppedClock
    from ..backends import FileKit

pytestmark = pytest.mark.needs("file")

MIB = 1 << 20
WRITES: dict[str, Callable[[CacheManager, str], Any]] = {
    "set": lambda cache, key: cache.aset(key, 1),
    "set with a ttl": lambda cache, key: cache.aset(key, 1, ttl=60),
    "set_many": lambda cache, key: cache.aset_many({key: 1}),
    "touch": lambda cache, key: cache.atouch(key, 60),
    "touch without ttl": lambda cache, key: cache.atouch(key, None),
    "incr": lambda cache, key: cache.aincr(key),
}
NO_WRITES: dict[str, Callable[[CacheManager, str], Any]] = {
    "get": lambda cache, key: cache.aget(key),
    "get_many": lambda cache, key: cache.aget_many([key]),
    "add that fails": lambda cache, key: cache.aadd(key, 2),
    "exists": lambda cache, key: cache.aexists(key),
    "ttl": lambda cache, key: cache.attl(key),
    "scan": lambda cache, key: acollect(cache.ascan(key)),
    "count": lambda cache, key: cache.acount(),
    "delete of another": lambda cache, key: cache.adelete("absent"),
}


async def akeys(cache: CacheManager) -> list[str]:
    return sorted(await acollect(cache.ascan()))


def file_of(kit: FileKit) -> Path:
    return kit.folder / "cache-0.db"


def rows_of(kit: FileKit) -> int:
    with closing(sqlite3.connect(file_of(kit))) as db:
        counted, held = db.execute(
            "SELECT (SELECT count(*) FROM entries), (SELECT entries FROM held)"
        ).fetchone()
    assert counted == held
    return int(counted)


async def test_the_least_recently_written_entry_goes_first(kit: FileKit) -> None:
    cache = kit.open(kit.make(max_size=3))
    for number in range(10):
        await cache.aset(f"k{number}", [number])
        kept = [f"k{each}" for each in range(max(0, number - 2), number + 1)]
        assert await akeys(cache) == kept
        assert cache.stats().entries == len(kept)
    assert cache.stats().evictions == 7


@pytest.mark.parametrize("write", WRITES)
async def test_what_changes_an_entry_makes_it_the_newest(kit: FileKit, write: str) -> None:
    cache = kit.open(kit.make(max_size=3))
    await cache.aset_many(dict.fromkeys("abc", 1))
    await WRITES[write](cache, "a")
    await cache.aset("d", 1)
    assert await akeys(cache) == ["a", "c", "d"]


@pytest.mark.parametrize("look", NO_WRITES)
async def test_what_changes_nothing_does_not(kit: FileKit, look: str) -> None:
    cache = kit.open(kit.make(max_size=3))
    await cache.aset_many(dict.fromkeys("abc", 1))
    await NO_WRITES[look](cache, "a")
    await cache.aset("d", 1)
    assert await akeys(cache) == ["b", "c", "d"]


async def test_every_kind_of_write_keeps_the_bound(kit: FileKit) -> None:
    cache = kit.open(kit.make(max_size=3))
    other = kit.open(cache.backend, namespace="other")
    for number in range(5):
        await cache.aadd(f"add-{number}", number)
        await other.aincr(f"incr-{number}")
        await cache.aset(f"set-{number}", number, ttl=60)
        await other.aset_many({f"many-{number}": number, f"more-{number}": number})
        assert await cache.acount() + await other.acount() == cache.stats().entries
        assert rows_of(kit) <= 3


async def test_replacing_an_entry_evicts_nothing(kit: FileKit) -> None:
    cache = kit.open(kit.make(max_size=3))
    await cache.aset_many({"a": 1, "b": 2, "c": 3})
    for _ in range(5):
        await cache.aset("a", [1], ttl=60)
        await cache.aincr("b")
        await cache.atouch("c")
        await cache.aadd("c", 1)
    assert await cache.acount() == 3
    assert cache.stats().evictions == 0


@pytest.mark.parametrize("max_size", [1, 3, 700])
async def test_set_many_beyond_the_bound_leaves_the_last(kit: FileKit, max_size: int) -> None:
    cache = kit.open(kit.make(max_size=max_size))
    await cache.aset("old", 1)
    names = [f"{number:05}" for number in range(2_000)]
    assert await cache.aset_many({name: [name] for name in names}) == []
    kept = await akeys(cache)
    assert kept == names[-len(kept) :]
    # What is full gives up one in 256 ahead.
    assert max_size - max_size // 256 <= len(kept) <= max_size


async def test_what_was_evicted_is_never_served(kit: FileKit) -> None:
    cache = kit.open(kit.make(max_size=2))
    await cache.aset_many({"a": [1], "b": [2], "c": [3]})
    assert await cache.aget_many(["a", "b", "c"]) == {"b": [2], "c": [3]}
    assert await cache.aget("a", "gone") == "gone"
    await cache.aset("d", 4)
    assert await cache.aget("b", "gone") == "gone"
    await cache.aset("b", 5)
    assert await cache.aget("b") == 5
    assert await cache.aget("b") == 5
    assert cache.backend._tier.writing == {}  # type: ignore[attr-defined]


async def test_expired_entries_go_first(kit: FileKit, clock: SteppedClock) -> None:
    cache = kit.open(kit.make(max_size=10))
    await cache.aset("old", 1)
    await cache.aset_many({f"short-{number}": number for number in range(9)}, ttl=5)
    await clock.aadvance(5)
    for number in range(9):
        await cache.aset(f"new-{number}", number)
    assert await cache.aget("old") == 1
    assert cache.stats().evictions == 0
    assert cache.stats().expirations == 9


async def test_a_smaller_bound_is_kept_from_the_first_writes_on(kit: FileKit) -> None:
    cache = kit.open(kit.make(max_size=1_000))
    await cache.aset_many({f"k{number:03}": number for number in range(1_000)})
    await cache.aclose()
    cache = kit.open(kit.again(max_size=10))
    for number in range(4):  # each gives up 257 of them; none adds a row
        await cache.aset("k999", [number])
    assert rows_of(kit) == 10
    assert await akeys(cache) == [f"k{number}" for number in range(990, 1_000)]


async def test_a_file_may_get_a_bound_later(kit: FileKit) -> None:
    cache = kit.open(kit.make())
    await cache.aset_many({f"k{number}": number for number in range(1_000)})
    assert cache.stats().entries is None
    await cache.aclose()
    bounded = kit.open(kit.again(max_size=100))
    for number in range(5):
        await bounded.aset(f"new-{number}", number)
    assert rows_of(kit) == 100
    assert await bounded.aget_many([f"new-{n}" for n in range(5)]) == {
        f"new-{n}": n for n in range(5)
    }


async def test_writers_without_a_bound_keep_the_books_of_those_with_one(kit: FileKit) -> None:
    bounded = kit.open(kit.make(max_size=5))
    await bounded.aset_many(dict.fromkeys("abcde", 1))
    free = kit.open(kit.again())
    await free.aset("a", 2)
    await free.atouch("b", 60)
    await free.aincr("c")
    await free.adelete("d")
    await free.aset_many(dict.fromkeys("fghij", 1))
    assert rows_of(kit) == 9
    assert bounded.stats().entries is None  # somebody else has written
    await bounded.aset("k", 1)
    assert await akeys(bounded) == ["g", "h", "i", "j", "k"]
    assert rows_of(kit) == 5


async def test_a_foreign_replace_is_put_right_when_the_file_is_opened(kit: FileKit) -> None:
    cache = kit.open(kit.make(max_size=5))
    await cache.aset_many(dict.fromkeys("abcd", 1))
    for _ in range(20):  # fires no trigger for the row that it replaces
        kit.plant("a", kit.stored("a"))
    await cache.aclose()
    cache = kit.open(kit.again(max_size=5))
    await cache.aset("e", 1)
    assert await akeys(cache) == ["a", "b", "c", "d", "e"]
    assert rows_of(kit) == 5


async def test_a_file_keeps_to_its_size(kit: FileKit) -> None:
    cache = kit.open(kit.make(max_bytes=MIB))
    for number in range(300):
        await cache.aset(f"k{number}", os.urandom(10_000))
    stats = cache.stats()
    assert stats.bytes is not None
    assert stats.bytes <= MIB
    assert 50 <= (stats.entries or 0) <= 105
    assert await cache.aexists("k299")
    assert not await cache.aexists("k0")
    await cache.aclose()
    assert file_of(kit).stat().st_size <= MIB


@pytest.mark.parametrize("size", [10, 1_000, 100_000])
async def test_bulk_writes_keep_to_the_size_of_the_file(kit: FileKit, size: int) -> None:
    cache = kit.open(kit.make(max_bytes=MIB))
    for turn in range(3):
        await cache.aset_many(
            {f"{turn}-{number}": os.urandom(size) for number in range(5_000_000 // (size + 500))}
        )
    for number in range(20):
        await cache.aset(f"k{number}", os.urandom(size))
    assert (cache.stats().bytes or MIB) <= MIB
    await cache.aclose()
    assert file_of(kit).stat().st_size <= MIB


@pytest.mark.parametrize("bound", [{"max_bytes": 8 * MIB}, {"max_size": 10_000}])
async def test_a_cleared_file_shrinks(kit: FileKit, bound: dict[str, int]) -> None:
    cache = kit.open(kit.make(**bound))
    await cache.aset_many({f"k{number}": os.urandom(2_000) for number in range(1_500)})
    await cache.aclose()
    assert file_of(kit).stat().st_size > 3 * MIB
    cache = kit.open(kit.again(**bound))
    assert await cache.aclear() == 1_500
    for number in range(100):
        await cache.aset("k", number)
    await cache.aclose()
    assert file_of(kit).stat().st_size < MIB


async def test_a_value_larger_than_the_file_is_refused(kit: FileKit) -> None:
    cache = kit.open(kit.make(max_bytes=MIB))
    await cache.aset("k", "what was there")
    for write in (
        lambda value: cache.aset("k", value),
        lambda value: cache.aadd("k", value),
        lambda value: cache.aset_many({"a": 1, "k": value}),
    ):
        with pytest.raises(ValueTooLargeError, match="max_bytes=1,048,576"):
            await write(os.urandom(MIB))
    assert await cache.aget("k") == "what was there"
    assert not await cache.aexists("a")
    largest = cache.backend._store.limits.largest - 200  # type: ignore[attr-defined]
    value = os.urandom(largest)
    for key in "abc":
        assert await cache.aset(key, value)
        assert await cache.aget(key) == value
    assert await akeys(cache) == ["c"]


def test_wrong_bounds_are_refused(kit: FileKit) -> None:
    for option in ("max_size", "max_bytes"):
        for wrong in (0, -1, True, 1.0, "10", [10], float("inf")):
            got = repr(wrong) if type(wrong) is int else type(wrong).__name__
            with pytest.raises(ConfigurationError, match=f"{option} .* got {got}") as caught:
                kit.make(**{option: wrong})
            assert isinstance(caught.value, CacheError)
    with pytest.raises(ConfigurationError, match="at least 65,536"):
        kit.make(max_bytes=65_535)


async def test_a_url_may_give_the_bounds(kit: FileKit) -> None:
    url = f"file://{kit.folder / 'url.db'}?max_size=2&max_bytes=100000"
    async with CacheManager.from_url(url) as cache:
        await cache.aset_many(dict.fromkeys("abc", 1))
        assert await akeys(cache) == ["b", "c"]
