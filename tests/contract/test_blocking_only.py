"""What only the blocking face offers, ``in``, ``len`` and truth, and what it can't do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from symphra_cache import CacheClosedError, InvalidKeyError, InvalidLoaderError

if TYPE_CHECKING:
    from symphra_cache import CacheManager

    from .acompat import SteppedClock


def test_in_tells_whether_a_key_lives(cache: CacheManager, clock: SteppedClock) -> None:
    assert "k" not in cache
    cache.set("k", None, ttl=0.05)
    assert "k" in cache
    assert "k" not in cache.namespace("users")
    clock.advance(0.06)
    assert "k" not in cache


def test_in_counts_nothing(cache: CacheManager) -> None:
    cache.set("k", 1)
    assert "k" in cache
    assert "absent" not in cache
    assert (cache.stats().hits, cache.stats().misses) == (0, 0)


@pytest.mark.parametrize("key", [1, None, b"k", "", ["k"], "\ud800"], ids=repr)
def test_in_refuses_what_is_no_key(cache: CacheManager, key: Any) -> None:
    with pytest.raises(InvalidKeyError):
        key in cache  # noqa: B015


@pytest.mark.needs("lru")
def test_in_is_no_use(kit: Any) -> None:
    cache = kit.open(kit.make(max_size=2))
    cache.set_many({"a": 1, "b": 2})
    assert "a" in cache
    cache.set("c", 3)
    assert "a" not in cache


def test_len_is_the_number_of_live_entries(cache: CacheManager, clock: SteppedClock) -> None:
    assert len(cache) == 0
    cache.set_many({"a": 1, "b": 2}, ttl=0.05)
    cache.set("c", 3)
    cache.namespace("users").set("d", 4)
    assert len(cache) == 3
    assert len(cache.namespace("users")) == 1
    clock.advance(0.06)
    assert len(cache) == 1


def test_an_empty_cache_is_truthy(cache: CacheManager) -> None:
    assert len(cache) == 0
    assert cache
    cache.close()
    assert cache


def test_in_and_len_raise_after_close(cache: CacheManager) -> None:
    cache.set("k", 1)
    cache.close()
    with pytest.raises(CacheClosedError):
        "k" in cache  # noqa: B015
    with pytest.raises(CacheClosedError):
        len(cache)


def test_a_manager_is_no_iterable(cache: CacheManager) -> None:
    cache.set("0", 1)
    with pytest.raises(TypeError):
        list(cache)  # type: ignore[call-overload]


def test_a_scan_is_an_iterator(cache: CacheManager) -> None:
    cache.set_many({"a": 1, "b": 2})
    keys = cache.scan()
    assert iter(keys) is keys
    assert sorted([next(keys), next(keys)]) == ["a", "b"]
    with pytest.raises(StopIteration):
        next(keys)


class Loaders:
    """Coroutine functions of all kinds."""

    async def aload(self) -> int:
        return 1

    async def __call__(self, *keys: Any) -> int:
        return 1


@pytest.mark.parametrize("is_there", [True, False])
@pytest.mark.parametrize("name", ["method", "function"])
def test_what_must_be_awaited_is_refused_with_the_remedy(
    cache: CacheManager, name: str, is_there: bool
) -> None:
    async def aload() -> int:
        return 1

    if is_there:
        cache.set("k", 2)
    loader = {"method": Loaders().aload, "function": aload}[name]
    for call in (cache.get_or_set, lambda key, loader: cache.get_or_set_many([key], loader)):
        with pytest.raises(InvalidLoaderError, match=r"aload.*aget_or_set") as caught:
            call("k", loader)
        assert isinstance(caught.value, TypeError)
    assert cache.get("k") == (2 if is_there else None)


def test_what_turns_out_to_be_a_coroutine_is_refused(cache: CacheManager) -> None:
    loader = Loaders()
    for load in (loader, loader.aload, lambda: loader()):
        with pytest.raises(InvalidLoaderError, match="aget_or_set"):
            cache.get_or_set("k", load)
    with pytest.raises(InvalidLoaderError, match="aget_or_set"):
        cache.get_or_set_many(["k"], loader)
    assert "k" not in cache
    assert cache.get_or_set("k", lambda: 3) == 3
