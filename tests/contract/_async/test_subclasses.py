# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""Methods of a program's own subclasses are called, whatever shortcut the library takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from symphra_cache import CacheManager
from symphra_cache.backends import MemoryBackend

if TYPE_CHECKING:
    from ..backends import Kit

Call = tuple[str, str]


class Telling:
    """Notes the calls of one face and hands them on; to be put before what it tells of."""

    calls: list[Call]

    async def aget(self, key: str, default: Any = None) -> Any:
        self.calls.append(("get", key))
        found = await super().aget(key, default)  # type: ignore[misc]
        return found if found is default else ("told", found)

    async def aset(self, key: str, value: Any, *arguments: Any, **named: Any) -> bool:
        self.calls.append(("set", key))
        stored: bool = await super().aset(key, value, *arguments, **named)  # type: ignore[misc]
        return stored


class TellingManager(Telling, CacheManager):
    """A manager whose methods come from a class beside it."""


class OwnManager(CacheManager):
    """A manager that has its methods in itself, and only those that it needs."""

    calls: list[Call]

    async def aget(self, key: str, default: Any = None) -> Any:
        self.calls.append(("get", key))
        found = await super().aget(key, default)
        return found if found is default else ("told", found)


class HeirManager(OwnManager):
    """A subclass of a subclass."""

    async def aset(self, key: str, value: Any, *arguments: Any, **named: Any) -> bool:
        self.calls.append(("set", key))
        return await super().aset(key, value, *arguments, **named)


class TellingBackend(Telling, MemoryBackend):
    """A backend, used alone."""


MANAGERS: dict[str, type[CacheManager]] = {
    "mixin": TellingManager,
    "get alone": OwnManager,
    "heir": HeirManager,
}
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "default ttl": {"default_ttl": 60},
    "jitter": {"jitter": 0.1, "default_ttl": 60},
}


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("kind", MANAGERS)
async def test_methods_of_a_manager_s_subclass_are_called(
    kit: Kit, kind: str, options: str
) -> None:
    calls: list[Call] = []
    async with MANAGERS[kind](kit.make(), **OPTIONS[options]) as cache:
        vars(cache)["calls"] = calls
        sets = [("set", "k")] * (kind != "get alone")
        for each in (cache, cache.namespace("users"), cache.namespace("a").namespace("b")):
            assert type(each) is MANAGERS[kind]
            calls.clear()
            assert await each.aset("k", 1)
            assert await each.aset("k", value=2, ttl=30)
            assert await each.aget("k") == ("told", 2)
            assert await each.aget("absent", default="nothing") == "nothing"
            assert calls == [*sets, *sets, ("get", "k"), ("get", "absent")]
            assert await each.aget_many(["k"]) == {"k": 2}
            assert round(await each.attl("k") or 0, -1) == 30
        assert cache.stats().hits == 6
        assert cache.stats().misses == 3
        assert cache.stats().sets == 6


async def test_a_subclass_that_overrides_nothing_is_a_manager(kit: Kit) -> None:
    kind = type("Plain", (CacheManager,), {})
    async with kind(kit.make()) as cache:
        assert await cache.aset("k", 1)
        assert await cache.namespace("users").aget("k") is None
        assert await cache.aget("k") == 1


async def test_a_method_put_on_the_object_is_called(kit: Kit) -> None:
    cache = kit.open()
    before = cache.aget

    async def aget(key: str, default: Any = None) -> Any:
        return "mine", await before(key, default)

    vars(cache)[aget.__name__] = aget
    await cache.aset("k", 1)
    assert await cache.aget("k") == ("mine", 1)
    assert await cache.namespace("users").aget("k") is None


@pytest.mark.parametrize("eviction", ["lru", "s3fifo"])
async def test_methods_of_a_backend_s_subclass_are_called(eviction: Any) -> None:
    backend = TellingBackend(10, eviction=eviction)
    backend.calls = []
    assert await backend.aset("k", 1)
    assert await backend.aset("k", value=2, ttl=30)
    assert await backend.aget("k") == ("told", 2)
    assert await backend.aget("absent", "nothing") == "nothing"
    assert backend.calls == [("set", "k"), ("set", "k"), ("get", "k"), ("get", "absent")]
    assert await backend.aget_many(["k", "absent"]) == {"k": ("told", 2)}
    await backend.aclose()
