"""An outage of what the loader uses is no outage of the cache: it is the loader's own error."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from faulty import outages_of
from load_checks import PATIENCE, assert_nothing_is_left, until, waiting
from redis_servers import HOST, free_ports
from symphra_cache import MISSING, BackendUnavailableError, CacheManager
from symphra_cache.backends import FileBackend, RedisBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from faces import Caller


@pytest.fixture
def other() -> Iterator[CacheManager]:
    """Another cache, whose server is not there."""
    with CacheManager(RedisBackend(f"redis://{HOST}:{free_ports(1)[0]}")) as cache:
        yield cache


@pytest.mark.parametrize("mode", ["raise", "degrade"], indirect=True)
@pytest.mark.parametrize("place", ["loader", "should_cache", "ttl"])
def test_an_outage_of_what_the_loader_uses_is_the_loader_s_error(
    mode: Any, tmp_path: Path, other: CacheManager, call: Caller, place: str
) -> None:
    calls = []

    def use(*_: Any) -> Any:
        calls.append(1)
        return other.get("k")

    def many(keys: list[str]) -> Any:
        use()

    with CacheManager(FileBackend(tmp_path / "cache.db"), on_outage=mode) as cache:
        options: dict[str, Any] = {} if place == "loader" else {place: use}
        loader: Any = use if place == "loader" else 1
        loader_of_many: Any = many if place == "loader" else (lambda keys: dict.fromkeys(keys, 1))
        loads: list[Callable[[], Any]] = [
            lambda: call(cache, "get_or_set", "k", loader, **options),
            lambda: call(cache, "get_or_set_many", ["k"], loader_of_many, **options),
        ]
        for number, load in enumerate(loads, 1):
            with pytest.raises(BackendUnavailableError, match=HOST) as caught:
                load()
            assert caught.value.__cause__ is not None
            assert len(calls) == number
        assert cache.stats().errors == 0
        assert call(cache, "get", "k", MISSING) is MISSING
        assert call(cache, "get_or_set", "k", 2) == 2
        assert_nothing_is_left(cache)
        if mode == "degrade":
            assert not outages_of(cache).alert


@pytest.mark.parametrize("mode", ["raise", "degrade"], indirect=True)
async def test_the_same_below_cached(mode: Any, tmp_path: Path, other: CacheManager) -> None:
    with CacheManager(FileBackend(tmp_path / "cache.db"), on_outage=mode) as cache:

        @cache.cached
        def one(x: int) -> Any:
            return other.get("k")

        @cache.cached
        async def two(x: int) -> Any:
            return await other.aget("k")

        @cache.cached
        def three(x: int) -> Iterator[Any]:
            yield 1
            yield other.get("k")

        @cache.cached
        async def four(x: int) -> Any:
            yield 1
            yield await other.aget("k")

        with pytest.raises(BackendUnavailableError, match=HOST):
            one(1)
        with pytest.raises(BackendUnavailableError, match=HOST):
            await asyncio.wait_for(asyncio.gather(two(1)), PATIENCE)
        with pytest.raises(BackendUnavailableError, match=HOST):
            list(three(1))
        with pytest.raises(BackendUnavailableError, match=HOST):
            print([item async for item in four(1)])
        for function in (one, two, three, four):
            assert function.stats() == (0, 1, 1, 1)  # type: ignore[attr-defined]
        assert cache.stats().errors == 0
        assert cache.count() == 0
        assert_nothing_is_left(cache)


def test_who_waits_gets_the_loader_s_outage_too(tmp_path: Path, other: CacheManager) -> None:
    may_end = threading.Event()

    def load() -> Any:
        assert may_end.wait(PATIENCE)
        return other.get("k")

    with CacheManager(FileBackend(tmp_path / "cache.db")) as cache, ThreadPoolExecutor(3) as pool:
        calls = [pool.submit(cache.get_or_set, "k", load) for _ in range(3)]
        until(lambda: waiting(cache) == 2)
        may_end.set()
        errors = [call.exception(PATIENCE) for call in calls]
        assert {type(error) for error in errors} == {BackendUnavailableError}
        assert len(set(map(str, errors))) == 1
        assert all(error.failed == [] and error.__cause__ for error in errors)  # type: ignore[union-attr]
        assert cache.stats().errors == 0
        assert_nothing_is_left(cache)
