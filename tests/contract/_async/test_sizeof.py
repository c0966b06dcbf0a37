# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""How `max_bytes` asks the program's own ``sizeof``, and what it makes of wrong answers."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from symphra_cache import ConfigurationError

from ..acompat import acollect
from ..weights import weight

if TYPE_CHECKING:
    from collections.abc import Callable

    from symphra_cache import CacheManager

    from ..backends import Kit

pytestmark = pytest.mark.needs("bounds")

# Each stores its value under one key.
WRITES: dict[str, Callable[[CacheManager, str, Any], Any]] = {
    "set": lambda cache, key, value: cache.aset(key, value),
    "set with a ttl": lambda cache, key, value: cache.aset(key, value, ttl=60),
    "add": lambda cache, key, value: cache.aadd(key, value),
    "set_many": lambda cache, key, value: cache.aset_many({key: value}),
    "incr": lambda cache, key, value: cache.aincr(key, 5),
}
NO_WRITES: dict[str, Callable[[CacheManager], Any]] = {
    "get": lambda cache: cache.aget("k"),
    "get_many": lambda cache: cache.aget_many(["k", "absent"]),
    "touch": lambda cache: cache.atouch("k", 60),
    "exists": lambda cache: cache.aexists("k"),
    "ttl": lambda cache: cache.attl("k"),
    "scan": lambda cache: acollect(cache.ascan()),
    "count": lambda cache: cache.acount(),
    "pop": lambda cache: cache.apop("k"),
    "delete": lambda cache: cache.adelete("k"),
    "clear": lambda cache: cache.aclear(),
}
# What is no size, and how the error tells of it.
WRONG: dict[str, tuple[object, str]] = {
    "negative": (-1, "got -1 for a "),
    "bool": (True, "got bool for a "),
    "float": (1.0, "got float for a "),
    "None": (None, "got NoneType for a "),
    "text": ("1", "got str for a "),
}
each_write = pytest.mark.parametrize("write", WRITES)


class Sizer:
    """A ``sizeof`` that notes what it was asked, and does as the test says."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.answer: Callable[[Any], Any] = weight

    def __call__(self, value: Any) -> Any:
        self.asked.append(value)
        return self.answer(value)


@pytest.fixture
def sizer() -> Sizer:
    return Sizer()


@pytest.fixture
def sized(kit: Kit, sizer: Sizer) -> CacheManager:
    return kit.open(kit.make(max_bytes=100, sizeof=sizer))


@each_write
async def test_sizeof_is_asked_once_for_each_write(
    sized: CacheManager, sizer: Sizer, write: str
) -> None:
    for number in range(1, 5):
        await WRITES[write](sized, f"k{number}", b"x" * number)
        assert len(sizer.asked) == number
    if write != "add":
        await WRITES[write](sized, "k1", b"xx")
        assert len(sizer.asked) == 5


async def test_sizeof_is_asked_once_for_each_value_of_a_bulk_write(
    sized: CacheManager, sizer: Sizer
) -> None:
    values = {f"k{number}": [b"x" * number] for number in range(5)}
    await sized.aset_many(values, ttl=60)
    assert sizer.asked == list(values.values())


async def test_sizeof_is_given_the_very_value(sized: CacheManager, sizer: Sizer) -> None:
    for value in (b"x", [b"x"], [[b"x"]], (b"x", [b"x"])):
        await sized.aset("k", value)
        await sized.aadd("l", value)
        await sized.aset_many({"m": value})
        assert [each is value for each in sizer.asked] == [True] * 3
        sizer.asked.clear()
        await sized.adelete("l")
    await sized.aincr("counter", 7)
    await sized.aincr("counter", 7)
    assert sizer.asked == [7, 14]


@pytest.mark.parametrize("look", NO_WRITES)
async def test_sizeof_is_not_asked_when_nothing_is_stored(
    sized: CacheManager, sizer: Sizer, look: str
) -> None:
    await sized.aset("k", b"x", ttl=50)
    sizer.asked.clear()
    await NO_WRITES[look](sized)
    assert sizer.asked == []


@each_write
async def test_sizeof_may_use_the_cache_itself(
    sized: CacheManager, sizer: Sizer, write: str
) -> None:
    """Even in another thread, which would wait for ever if a lock were held."""
    done = []

    def use() -> None:
        sized.set("from sizeof", b"xx")
        done.append(sized.get("from sizeof"))
        sized.delete("from sizeof")

    def answer(value: Any) -> int:
        sizer.answer = weight
        use()
        thread = threading.Thread(target=use, daemon=True)
        thread.start()
        thread.join(10)
        return weight(value)

    sizer.answer = answer
    await WRITES[write](sized, "k", b"x" * 8)
    assert done == [b"xx"] * 2
    assert await acollect(sized.ascan()) == ["k"]
    assert sized.stats().bytes == 8


async def test_incr_starts_over_if_sizeof_changed_the_counter(
    sized: CacheManager, sizer: Sizer
) -> None:
    await sized.aset("k", 10, ttl=60)

    def answer(value: Any) -> int:
        sizer.answer = weight
        sized.set("k", 100, ttl=50)
        return weight(value)

    sizer.answer = answer
    assert await sized.aincr("k", 5) == 105
    assert await sized.aget("k") == 105
    assert await sized.attl("k") == 50


@pytest.mark.parametrize("wrong", WRONG)
@each_write
async def test_an_answer_that_is_no_size_is_refused(
    sized: CacheManager, sizer: Sizer, write: str, wrong: str
) -> None:
    await sized.aset("k", 10, ttl=60)
    before = sized.stats()
    answer, text = WRONG[wrong]
    sizer.answer = lambda value: answer
    for key in ("k", "absent"):
        with pytest.raises(ConfigurationError, match="sizeof") as caught:
            await WRITES[write](sized, key, b"x")
        kind = "int" if write == "incr" else "bytes"
        assert text + kind in str(caught.value)
        assert isinstance(caught.value, ValueError)
    assert sized.stats() == before
    assert await sized.aget_many(["k", "absent"]) == {"k": 10}
    assert await sized.attl("k") == 60


@each_write
async def test_what_sizeof_raises_passes_through(
    sized: CacheManager, sizer: Sizer, write: str
) -> None:
    await sized.aset("k", 10, ttl=60)
    before = sized.stats()
    error = LookupError("of the program")

    def answer(value: Any) -> int:
        raise error

    sizer.answer = answer
    for key in ("k", "absent"):
        with pytest.raises(LookupError) as caught:
            await WRITES[write](sized, key, b"x")
        assert caught.value is error
    assert sized.stats() == before
    sizer.answer = weight
    assert await sized.aget_many(["k", "absent"]) == {"k": 10}
    assert await WRITES[write](sized, "new", b"x" * 8) is not None
    assert sized.stats().bytes == 16


async def test_one_wrong_size_keeps_set_many_from_writing_any(
    sized: CacheManager, sizer: Sizer
) -> None:
    await sized.aset("k", b"old")
    sizer.answer = lambda value: -1 if value == b"bad" else len(value)
    with pytest.raises(ConfigurationError, match="sizeof"):
        await sized.aset_many({"j": b"x", "k": b"new", "l": b"bad", "m": b"x"})
    assert await acollect(sized.ascan()) == ["k"]
    assert await sized.aget("k") == b"old"


async def test_sizes_may_be_large_ints_up_to_the_bound(kit: Kit) -> None:
    cache = kit.open(kit.make(max_bytes=10**30, sizeof=lambda value: 10**29))
    for number in range(20):
        await cache.aset(f"k{number}", number)
    assert (cache.stats().bytes, cache.stats().entries) == (10**30, 10)


def test_a_wrong_sizeof_is_refused(kit: Kit) -> None:
    for wrong in (1, "len", [], True, b"len"):
        with pytest.raises(ConfigurationError, match="sizeof") as caught:
            kit.make(max_bytes=100, sizeof=wrong)
        assert type(wrong).__name__ in str(caught.value)


def test_sizeof_without_max_bytes_is_refused(kit: Kit) -> None:
    for options in ({}, {"max_bytes": None}, {"max_size": None}):
        with pytest.raises(ConfigurationError, match="max_bytes") as caught:
            kit.make(sizeof=len, **options)
        assert isinstance(caught.value, ValueError)
