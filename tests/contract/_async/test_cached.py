# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""``@cache.cached``: what calls, controls and generators do, on every backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from symphra_cache import (
    CacheManager,
    ConfigurationError,
    InvalidTTLError,
    RecursiveLoadError,
    SerializationError,
    UnkeyableArgumentError,
)

from ..acompat import arace, aspawn
from .test_loads import Loader, auntil

if TYPE_CHECKING:
    from ..acompat import SteppedClock
    from ..backends import Kit


class Runs:
    """Notes the arguments of runs."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    async def arun(self, *args: Any) -> Any:
        self.seen.append(args)
        return {"args": list(args), "run": len(self.seen)}


async def test_the_first_call_runs_the_function_and_the_next_does_not(cache: CacheManager) -> None:
    runs = Runs()

    @cache.cached
    async def aprofile(user_id: int) -> Any:
        return await runs.arun(user_id)

    assert await aprofile(1) == {"args": [1], "run": 1}
    assert await aprofile(1) == {"args": [1], "run": 1}
    assert await aprofile(2) == {"args": [2], "run": 2}
    assert await aprofile(user_id=1) == {"args": [1], "run": 1}
    assert aprofile.stats() == (2, 2, 2, 0)


async def test_each_caller_has_a_value_of_his_own(cache: CacheManager) -> None:
    @cache.cached()
    async def atags() -> list[Any]:
        return [1, [2]]

    for _ in range(3):
        found = await atags()
        assert found == [1, [2]]
        found[1].append(3)


async def test_none_and_other_empty_values_are_kept(cache: CacheManager) -> None:
    runs = Runs()

    @cache.cached
    async def aempty(kind: str) -> Any:
        await runs.arun(kind)
        return {"none": None, "no": False, "zero": 0, "text": "", "list": []}[kind]

    for kind in ("none", "no", "zero", "text", "list") * 2:
        assert not await aempty(kind)
    assert len(runs.seen) == 5


async def test_equal_arguments_of_different_types_are_different_calls(cache: CacheManager) -> None:
    @cache.cached
    async def akind(x: object, *rest: object, **named: object) -> list[str]:
        return [type(each).__name__ for each in (x, *rest, *named.values())]

    for _ in range(2):
        assert await akind(1) == ["int"]
        assert await akind(1.0) == ["float"]
        assert await akind(True) == ["bool"]
        assert await akind("1") == ["str"]
        assert await akind(1, True) == ["int", "bool"]
        assert await akind(1, y=True) == ["int", "bool"]
        assert await akind(1, y=1) == ["int", "int"]


async def test_what_is_kept_lies_under_the_key_of_the_call(cache: CacheManager) -> None:
    @cache.cached(ttl=60)
    async def asum(a: int, b: int = 2, *, c: int = 3) -> int:
        return a + b + c

    key = asum.key_for(1)
    assert key == asum.key_for(a=1, c=3) == asum.key_for(1, 2)
    assert key.endswith("sum(1,2,3)")
    assert await cache.aget(key) is None
    assert await asum(1) == 6
    assert await cache.aget(key) == 6
    assert 55 < (await cache.attl(key) or 0) <= 60
    await cache.aset(key, 7)
    assert await asum(1) == 7


async def test_a_template_makes_the_key(cache: CacheManager) -> None:
    @cache.cached(key="orders:{user_id}")
    async def aorders(user_id: int, session: object = None) -> list[int]:
        return [user_id]

    assert await aorders(7, session=object()) == [7]
    assert await cache.aget("orders:7") == [7]
    assert aorders.key_for(7) == "orders:7"


async def test_a_function_makes_the_key(cache: CacheManager) -> None:
    @cache.cached(key=lambda text: f"k:{text.lower()}")
    async def alength(text: str) -> int:
        return len(text)

    assert await alength("ABC") == 3
    assert await cache.aget("k:abc") == 3


async def test_invalidate_forgets_one_call(cache: CacheManager) -> None:
    runs = Runs()

    @cache.cached
    async def aone(x: int = 0) -> Any:
        return await runs.arun(x)

    await aone(1)
    await aone()
    assert await aone.ainvalidate(1) is True
    assert await aone.ainvalidate(x=1) is False
    await aone(1)
    await aone()
    assert runs.seen == [(1,), (0,), (1,)]


async def test_invalidate_all_forgets_the_calls_of_this_function_alone(cache: CacheManager) -> None:
    @cache.cached
    async def athing(x: str) -> str:
        return x

    @cache.cached
    async def aother(x: str) -> str:
        return x

    @cache.cached(key="t[{x}]*")
    async def atemplate(x: str) -> str:
        return x

    for text in ("a", "b", "x" * 500):
        assert await athing(text) == await aother(text) == await atemplate(text)
    await cache.aset("t1*", 1)
    assert await athing.ainvalidate_all() == 3
    assert await athing.ainvalidate_all() == 0
    assert await atemplate.ainvalidate_all() == 3
    assert await cache.acount() == 4
    assert await cache.aexists(aother.key_for("a"))


async def test_invalidate_all_wants_keys_that_it_knows(cache: CacheManager) -> None:
    @cache.cached(key=str)
    async def athing(x: int) -> int:
        return x

    assert await athing(1) == 1
    with pytest.raises(ConfigurationError, match=r"invalidate_all of .*thing.* give a template"):
        await athing.ainvalidate_all()
    assert await cache.aexists("1")


async def test_refresh_runs_the_function_whatever_is_kept(cache: CacheManager) -> None:
    runs = Runs()

    @cache.cached
    async def aone(x: int) -> Any:
        return await runs.arun(x)

    assert await aone.arefresh(1) == {"args": [1], "run": 1}
    assert await aone.arefresh(x=1) == {"args": [1], "run": 2}
    assert await aone(1) == {"args": [1], "run": 2}
    assert aone.stats() == (1, 0, 2, 0)


async def test_an_error_is_raised_and_not_kept(cache: CacheManager) -> None:
    loader = Loader(OSError("gone"), "there")

    @cache.cached
    async def afetch(x: int) -> Any:
        return await loader.aload()

    with pytest.raises(OSError, match=r"^gone$"):
        await afetch(1)
    assert await cache.acount() == 0
    assert await afetch(1) == "there"
    assert afetch.stats() == (0, 2, 2, 1)


async def test_a_call_that_does_not_fit_is_the_function_s_own_error(cache: CacheManager) -> None:
    @cache.cached
    async def aone(x: int) -> int:
        return x

    for call in (aone, aone.ainvalidate, aone.arefresh):
        with pytest.raises(TypeError, match=r"one\(\) missing 1 required positional argument: 'x'"):
            await call()  # type: ignore[operator]
    with pytest.raises(TypeError, match=r"one\(\) got an unexpected keyword argument 'y'"):
        aone.key_for(1, y=2)  # type: ignore[call-arg]


async def test_an_argument_without_a_lasting_text_is_refused(cache: CacheManager) -> None:
    @cache.cached
    async def aone(x: object) -> int:
        return 1

    with pytest.raises(UnkeyableArgumentError, match=r"one\(\): argument 'x' is an object of type"):
        await aone(object())
    assert aone.stats() == (0, 0, 0, 0)


@pytest.mark.needs("fake_clock")
async def test_a_ttl_is_a_number_or_a_function_of_the_value(
    kit: Kit, cache: CacheManager, clock: SteppedClock
) -> None:
    runs = Runs()

    @cache.cached(ttl=10)
    async def aten(x: int) -> Any:
        return await runs.arun(x)

    @cache.cached(ttl=lambda value: value)
    async def aown(seconds: int) -> int:
        await runs.arun(seconds)
        return seconds

    other = kit.open(default_ttl=5)

    @other.cached
    async def adefault() -> Any:
        return await runs.arun("default")

    for _ in range(2):
        await aten(1)
        await aown(7)
        await adefault()
    assert await cache.attl(aten.key_for(1)) == 10
    assert await cache.attl(aown.key_for(7)) == 7
    assert await other.attl(adefault.key_for()) == 5
    assert len(runs.seen) == 3
    await clock.aadvance(7)
    await aown(7)
    await aten(1)
    assert runs.seen[3:] == [(7,)]


async def test_jitter_spreads_the_ttl(cache: CacheManager) -> None:
    @cache.cached(ttl=1000, jitter=0.5)
    async def aone(x: int) -> int:
        return x

    for x in range(20):
        await aone(x)
    left = [await cache.attl(aone.key_for(x)) or 0 for x in range(20)]
    assert 490 < min(left) < max(left) <= 1500
    assert max(left) - min(left) > 50


async def test_what_should_not_be_cached_is_not(cache: CacheManager) -> None:
    runs = Runs()

    @cache.cached(should_cache=bool)
    async def aone(x: int) -> int:
        await runs.arun(x)
        return x

    for _ in range(2):
        assert await aone(0) == 0
        assert await aone(1) == 1
    assert runs.seen == [(0,), (1,), (0,)]


async def test_what_cannot_be_stored_raises(cache: CacheManager) -> None:
    @cache.cached
    async def aone() -> Any:
        return lambda: 1

    with pytest.raises(SerializationError):
        await aone()


async def test_callers_share_one_run(cache: CacheManager) -> None:
    loader = Loader([1, [2]], seconds=0.05)

    @cache.cached
    async def aslow(x: int) -> Any:
        return await loader.aload()

    async def acall(who: int) -> Any:
        return await aslow(who % 2)

    found = await arace(acall)
    assert found == [[1, [2]]] * len(found)
    assert loader.calls == 2
    stats = aslow.stats()
    assert (stats.hits + stats.misses, stats.loads) == (len(found), 2)


@pytest.mark.parametrize("how", ["invalidate", "invalidate_all", "set", "clear"])
async def test_a_write_during_the_run_is_not_undone(cache: CacheManager, how: str) -> None:
    loader = Loader("old", "new", seconds=0.1)

    @cache.cached
    async def aslow(x: int) -> Any:
        return await loader.aload()

    async def acall() -> Any:
        return await aslow(1)

    running = await aspawn(acall)
    await auntil(lambda: loader.begun)
    if how == "invalidate":
        await aslow.ainvalidate(1)
    elif how == "invalidate_all":
        await aslow.ainvalidate_all()
    elif how == "set":
        await cache.aset(aslow.key_for(1), "set")
    else:
        await cache.aclear()
    assert await running.afinish() == "old"
    assert await aslow(1) == ("set" if how == "set" else "new")


async def test_a_refresh_during_the_run_wins(cache: CacheManager) -> None:
    loader = Loader("old", "new", seconds=0.1)

    @cache.cached
    async def aslow() -> Any:
        return await loader.aload()

    running = await aspawn(aslow)
    await auntil(lambda: loader.begun)
    assert await aslow.arefresh() == "new"
    assert await running.afinish() == "old"
    assert await aslow() == "new"


async def test_a_function_may_call_itself_but_not_the_same_call(cache: CacheManager) -> None:
    @cache.cached
    async def afactorial(n: int) -> int:
        return n * await afactorial(n - 1) if n else 1

    @cache.cached
    async def aloop(n: int) -> int:
        return await aloop(1 - n)

    assert await afactorial(20) == 2432902008176640000
    assert afactorial.stats() == (0, 21, 21, 0)
    with pytest.raises(RecursiveLoadError):
        await aloop(0)
    assert await cache.acount() == 21


async def test_namespaces_keep_calls_apart(cache: CacheManager) -> None:
    async def aone(x: int) -> list[int]:
        return [x]

    first = cache.namespace("a").cached(aone)
    second = cache.namespace("b").cached(aone)
    await first(1)
    assert first.key_for(1) == second.key_for(1)
    assert await second.ainvalidate(1) is False
    assert await first.ainvalidate(1) is True


@pytest.mark.parametrize("ttl", [True, "60", float("nan")])
async def test_a_wrong_ttl_is_refused_at_decoration(cache: CacheManager, ttl: Any) -> None:
    with pytest.raises(InvalidTTLError):
        cache.cached(ttl=ttl)


async def test_get_of_a_subclass_is_called(kit: Kit) -> None:
    class Own(CacheManager):
        async def aget(self, key: str, default: Any = None) -> Any:
            found = await super().aget(key, default)
            return found if found is default else ("told", found)

    async with Own(kit.make()) as cache:

        @cache.cached
        async def aone(x: int) -> int:
            return x

        assert await aone(1) == 1
        assert await aone(1) == ("told", 1)  # type: ignore[comparison-overlap]
