"""Checked by type checkers, never run: what ``@cache.cached`` keeps of a function's types."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator, Iterator
from datetime import timedelta
from typing import Any, TypeVar, assert_type

from symphra_cache import CacheManager
from symphra_cache.decorators import CachedCoroutine, CachedFunction, FunctionStats

cache: CacheManager = CacheManager.from_url("memory://")
T = TypeVar("T")


class Profile:
    """A value."""


@cache.cached
def orders(user: int, /, since: str = "", *, limit: int = 10) -> list[int]:
    return []


@cache.cached(ttl=300)
async def profile(user_id: int) -> Profile:
    return Profile()


@cache.cached(ttl=timedelta(hours=1), key="rows:{n}", jitter=0.1)
def rows(n: int) -> Iterator[str]:
    yield ""


@cache.cached()
async def arows(n: int) -> AsyncGenerator[str, None]:
    yield ""


@cache.cached(ttl=len, should_cache=bool)
def anything(n: int) -> dict[str, Any]:
    return {}


@cache.cached
def squares(n: int) -> list[int]:
    return []


@cache.cached(key=str)
def same(value: T) -> list[T]:
    return [value]


def calls() -> None:
    assert_type(orders(1), list[int])
    assert_type(orders(1, since="", limit=2), list[int])
    assert_type(orders.refresh(1, "", limit=2), list[int])
    assert_type(orders.invalidate(1, limit=2), bool)
    assert_type(orders.invalidate_all(), int)
    assert_type(orders.key_for(1), str)
    assert_type(orders.stats(), FunctionStats)
    assert_type(orders.stats().hits, int)
    assert_type(orders.original(1), list[int])
    assert_type(orders.__name__, str)
    assert_type(anything(1), dict[str, Any])
    assert_type(same(1), list[int])
    assert_type(same("a"), list[str])


def wrong_calls() -> None:
    orders("1")  # type: ignore[arg-type]
    orders(user=1)  # type: ignore[call-arg]
    orders.invalidate("1")  # type: ignore[arg-type]
    orders.invalidate()  # type: ignore[call-arg]
    orders.refresh(1, wrong=1)  # type: ignore[call-arg]
    orders.key_for(1, limit="10")  # type: ignore[arg-type]
    orders.nothing()  # type: ignore[attr-defined]
    profile.invalidate("1")  # type: ignore[arg-type]
    profile.refresh(1)  # type: ignore[attr-defined]
    arows.refresh(1)  # type: ignore[attr-defined]
    cache.cached(300)  # type: ignore[call-overload]
    cache.cached(tll=300)  # type: ignore[call-overload]


async def calls_that_are_awaited() -> None:
    waiting: Coroutine[Any, Any, Profile] = profile(1)
    assert_type(await waiting, Profile)
    assert_type(await profile(user_id=1), Profile)
    assert_type(await profile.arefresh(1), Profile)
    assert_type(await profile.ainvalidate(1), bool)
    assert_type(await profile.ainvalidate_all(), int)
    assert_type(profile.invalidate(1), bool)
    assert_type(await profile.original(1), Profile)
    assert_type(await orders.arefresh(1), list[int])
    assert_type(await orders.ainvalidate(1, limit=2), bool)
    await profile("1")  # type: ignore[arg-type]
    await profile.ainvalidate("1")  # type: ignore[arg-type]


async def generators() -> None:
    assert_type(rows(1), Generator[str, Any, None])
    assert_type(rows.refresh(1), list[str])
    assert_type(await rows.arefresh(1), list[str])
    assert_type(rows.invalidate(1), bool)
    assert_type(rows.original(1), Iterator[str])
    assert_type(arows(1), AsyncGenerator[str, Any])
    assert_type(await arows.arefresh(1), list[str])
    assert_type(arows.original(1), AsyncIterator[str])
    assert_type([row async for row in arows(1)], list[str])


class User:
    @cache.cached
    def name(self, long: bool = False) -> str:
        return ""

    @cache.cached(ttl=60)
    async def aname(self, long: bool = False) -> str:
        return ""

    @cache.cached
    def steps(self, n: int) -> Iterator[int]:
        yield n

    @property
    @cache.cached
    def size(self) -> int:
        return 1

    @cache.cached
    @staticmethod
    def static_below(x: int) -> str:
        return ""

    @staticmethod
    @cache.cached
    def static_above(x: int) -> str:
        return ""

    @cache.cached(ttl=60)
    @classmethod
    def class_below(cls, x: int) -> str:
        return ""

    @classmethod
    @cache.cached
    def class_above(cls, x: int) -> str:
        return ""

    @cache.cached(ttl=60)
    @classmethod
    async def aclass(cls, x: int) -> str:
        return ""


class Admin(User):
    """A subclass."""


async def methods(user: User, admin: Admin) -> None:
    assert_type(user.name(), str)
    assert_type(admin.name(long=True), str)
    assert_type(User.name(user, True), str)
    assert_type(user.name.invalidate(True), bool)
    assert_type(User.name.invalidate(user, True), bool)
    assert_type(user.name.refresh(), str)
    assert_type(await user.aname(), str)
    assert_type(await user.aname.arefresh(True), str)
    assert_type(await User.aname(user), str)
    assert_type(list(user.steps(1)), list[int])
    assert_type(user.steps.refresh(1), list[int])
    assert_type(user.size, int)


async def methods_without_an_object(user: User, admin: Admin) -> None:
    assert_type(User.static_below(1), str)
    assert_type(user.static_below(1), str)
    assert_type(User.static_above.invalidate(1), bool)
    assert_type(user.static_above.invalidate(1), bool)
    assert_type(User.class_below(1), str)
    assert_type(admin.class_below(1), str)
    assert_type(Admin.class_below.invalidate(1), bool)
    assert_type(Admin.class_above(1), str)
    assert_type(user.class_above(1), str)
    assert_type(await Admin.aclass(1), str)
    assert_type(await user.aclass.arefresh(1), str)


def wrong_methods(user: User) -> None:
    user.name("long")  # type: ignore[arg-type]
    user.name.invalidate("long")  # type: ignore[arg-type]
    user.name.invalidate(user, True)  # type: ignore[arg-type, call-arg]
    User.name.invalidate("user", True)  # type: ignore[arg-type]
    user.aname.refresh()  # type: ignore[attr-defined]
    User.static_below("1")  # type: ignore[arg-type]
    User.class_below("1")  # type: ignore[arg-type]


def takes_functions(
    function: Callable[[int], list[int]],
    kept: CachedFunction[[int], list[int]],
    awaited: CachedCoroutine[[int], Profile],
) -> None:
    takes_functions(squares, squares, profile)
    kept.invalidate(1)
    awaited.invalidate(1)
