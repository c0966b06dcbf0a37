# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""Loads: ``get_or_set`` and ``get_or_set_many``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from symphra_cache import (
    MISSING,
    ConfigurationError,
    InvalidKeyError,
    InvalidLoaderError,
    InvalidTTLError,
    RecursiveLoadError,
)

from ..acompat import arace, asleep, aspawn
from ..compare import difference

if TYPE_CHECKING:
    from collections.abc import Callable

    from symphra_cache import CacheManager

    from ..backends import Kit

SOON = 0.05


class Loader:
    """Counts its calls; each takes so many seconds and makes a value, or an error."""

    def __init__(self, *made: Any, seconds: float = 0.0) -> None:
        self.made = list(made) or ["loaded"]
        self.seconds = seconds
        self.calls = 0
        self.begun = 0

    async def aload(self) -> Any:
        made = self.made[min(self.begun, len(self.made) - 1)]  # whoever ends first
        self.begun += 1
        await asleep(self.seconds)
        self.calls += 1
        if isinstance(made, Exception):
            raise made
        return made


async def auntil(condition: Callable[[], object]) -> None:
    for _ in range(2_000):
        if condition():
            return
        await asleep(0.005)
    raise AssertionError("not in time")


async def test_a_miss_is_loaded_and_stored(cache: CacheManager) -> None:
    loader = Loader({"name": "Ada"})
    assert await cache.aget_or_set("k", loader.aload) == {"name": "Ada"}
    assert await cache.aget_or_set("k", loader.aload) == {"name": "Ada"}
    assert await cache.aget("k") == {"name": "Ada"}
    assert loader.calls == 1


async def test_a_hit_loads_nothing(cache: CacheManager) -> None:
    for value in (None, False, 0, "", [], {"a": [1]}):
        loader = Loader()
        await cache.aset("k", value)
        assert difference(await cache.aget_or_set("k", loader.aload), value) is None
        assert loader.calls == 0


async def test_a_loader_may_be_a_value_or_a_function(cache: CacheManager) -> None:
    assert await cache.aget_or_set("value", 1) == 1
    assert await cache.aget_or_set("function", lambda: 2) == 2
    assert await cache.aget_or_set("None", None) is None
    assert await cache.aget_many(["value", "function", "None"]) == {
        "value": 1,
        "function": 2,
        "None": None,
    }


async def test_a_loaded_value_belongs_to_its_caller(cache: CacheManager) -> None:
    loaded = {"a": [1]}
    found = await cache.aget_or_set("k", lambda: loaded)
    found["a"].append(2)
    assert await cache.aget("k") == {"a": [1]}


async def test_the_ttl_counts(kit: Kit) -> None:
    cache = kit.open(default_ttl=1000)
    for number, (ttl, wanted) in enumerate(
        [
            ({}, 1000),
            ({"ttl": 60}, 60),
            ({"ttl": None}, None),
            ({"ttl": lambda value: value * 10}, 70),
            ({"ttl": lambda value: None}, None),
        ]
    ):
        key = f"k{number}"
        assert await cache.aget_or_set(key, 7, **ttl) == 7
        left = await cache.attl(key)
        assert left == wanted or (left and wanted and wanted - 30 < left <= wanted)


async def test_what_is_expired_at_once_is_returned_and_not_stored(cache: CacheManager) -> None:
    loader = Loader()
    for ttl in (0, -1, lambda value: 0):
        assert await cache.aget_or_set("k", loader.aload, ttl=ttl) == "loaded"
        assert await cache.aget("k", MISSING) is MISSING
    assert loader.calls == 3


async def test_an_expired_entry_is_loaded_anew(kit: Kit, cache: CacheManager) -> None:
    loader = Loader("old", "new")
    assert await cache.aget_or_set("k", loader.aload, ttl=0.05) == "old"
    await kit.clock.aadvance(0.06)
    assert await cache.aget_or_set("k", loader.aload) == "new"


async def test_jitter_spreads_the_ttl(cache: CacheManager) -> None:
    lefts = set()
    for number in range(20):
        await cache.aget_or_set(f"k{number}", 1, ttl=1000, jitter=0.5)
        left = await cache.attl(f"k{number}")
        assert left is not None
        assert 490 < left <= 1500
        lefts.add(round(left))
    assert len(lefts) > 5


async def test_should_cache_decides(cache: CacheManager) -> None:
    loader = Loader(None, "there")
    for wanted in (None, "there", "there"):
        found = await cache.aget_or_set("k", loader.aload, should_cache=lambda value: value)
        assert found == wanted
    assert loader.calls == 2


async def test_an_error_of_the_loader_reaches_the_caller_and_leaves_no_trace(
    cache: CacheManager,
) -> None:
    loader = Loader(ZeroDivisionError("no"), "loaded")
    with pytest.raises(ZeroDivisionError, match="no"):
        await cache.aget_or_set("k", loader.aload)
    assert await cache.aget("k", MISSING) is MISSING
    assert await cache.aget_or_set("k", loader.aload) == "loaded"


async def test_a_value_that_cannot_be_stored_is_an_error(cache: CacheManager) -> None:
    with pytest.raises(TypeError):
        await cache.aget_or_set("k", lambda: (each for each in ()))
    assert await cache.aget_or_set("k", lambda: 1) == 1


async def test_wrong_arguments(cache: CacheManager) -> None:
    loader = Loader()
    wrong: list[tuple[type[Exception], Callable[[], Any]]] = [
        (InvalidKeyError, lambda: cache.aget_or_set("", loader.aload)),
        (InvalidKeyError, lambda: cache.aget_or_set(1, loader.aload)),  # type: ignore[arg-type]
        (InvalidKeyError, lambda: cache.aget_or_set_many("abc", loader.aload)),
        (ConfigurationError, lambda: cache.aget_or_set("k", 1, jitter=1.0)),
        (ConfigurationError, lambda: cache.aget_or_set("k", 1, should_cache=True)),  # type: ignore[arg-type]
    ]
    for kind, call in wrong:
        with pytest.raises(kind):
            await call()
    assert loader.calls == 0
    for ttl in ("1", True, lambda value: "1"):
        with pytest.raises(InvalidTTLError):
            await cache.aget_or_set("k", 1, ttl=ttl)  # type: ignore[arg-type]
    for loaded in ([1], None, "ab", 5):
        with pytest.raises(InvalidLoaderError, match=type(loaded).__name__):
            await cache.aget_or_set_many(["a"], lambda keys, loaded=loaded: loaded)


async def test_callers_at_once_share_one_load(cache: CacheManager) -> None:
    loader = Loader({"a": [1]}, seconds=SOON)
    answers = await arace(lambda who: cache.aget_or_set("k", loader.aload))
    assert loader.calls == 1
    assert answers == [{"a": [1]}] * len(answers)
    for answer in answers:  # each his own
        answer["a"].append(2)
    assert answers == [{"a": [1, 2]}] * len(answers)
    assert await cache.aget("k") == {"a": [1]}


async def test_callers_at_once_share_what_is_not_stored(cache: CacheManager) -> None:
    loader = Loader(seconds=SOON)
    answers = await arace(
        lambda who: cache.aget_or_set("k", loader.aload, should_cache=lambda value: False)
    )
    assert answers == ["loaded"] * len(answers)
    assert loader.calls < len(answers) / 2
    assert await cache.aget("k", MISSING) is MISSING


async def test_managers_on_one_backend_share_one_load(kit: Kit) -> None:
    managers = [kit.open() for _ in range(4)]
    loader = Loader(seconds=SOON)
    answers = await arace(lambda who: managers[who % 4].aget_or_set("k", loader.aload))
    assert (loader.calls, set(answers)) == (1, {"loaded"})


async def test_keys_and_namespaces_load_apart(cache: CacheManager) -> None:
    inner = cache.namespace("inner")
    loaders = [Loader(number, seconds=SOON) for number in range(3)]
    calls = [
        lambda: cache.aget_or_set("a", loaders[0].aload),
        lambda: cache.aget_or_set("b", loaders[1].aload),
        lambda: inner.aget_or_set("a", loaders[2].aload),
    ]
    running = [await aspawn(call) for call in calls]
    assert [await one.afinish() for one in running] == [0, 1, 2]
    assert [loader.calls for loader in loaders] == [1, 1, 1]


async def test_an_error_reaches_each_who_waits_once(cache: CacheManager) -> None:
    loader = Loader(ZeroDivisionError("no"), "loaded", seconds=0.2)

    async def acaught() -> object:
        try:
            return await cache.aget_or_set("k", loader.aload)
        except ZeroDivisionError as error:
            return error

    running = [await aspawn(acaught) for _ in range(5)]
    found = [await one.afinish() for one in running]
    assert loader.calls == 1
    assert [(type(one), str(one)) for one in found] == [(ZeroDivisionError, "no")] * 5
    assert await cache.aget_or_set("k", loader.aload) == "loaded"


WRITES: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "set": (lambda cache: cache.aset("k", "new"), "new"),
    "set_many": (lambda cache: cache.aset_many({"k": "new"}), "new"),
    "add": (lambda cache: cache.aadd("k", "new"), "new"),
    "incr": (lambda cache: cache.aincr("k"), 1),
    "delete": (lambda cache: cache.adelete("k"), MISSING),
    "pop": (lambda cache: cache.apop("k"), MISSING),
    "delete_many": (lambda cache: cache.adelete_many(["k", "other"]), MISSING),
    "delete_matching": (lambda cache: cache.adelete_matching("k*"), MISSING),
    "clear": (lambda cache: cache.aclear(), MISSING),
}


@pytest.mark.parametrize("name", WRITES)
async def test_a_write_is_never_undone_by_a_load_that_it_overlaps(kit: Kit, name: str) -> None:
    write, wanted = WRITES[name]
    cache, other = kit.open(), kit.open()
    loader = Loader("old", seconds=0.2)
    running = await aspawn(lambda: cache.aget_or_set("k", loader.aload))
    await auntil(lambda: loader.begun)
    await write(other)
    assert await cache.aget("k", MISSING) == wanted
    if wanted is MISSING:  # who comes now starts another
        assert await cache.aget_or_set("k", lambda: "newer", should_cache=bool) == "newer"
        wanted = "newer"
    assert await running.afinish() == "old"
    assert await cache.aget("k", MISSING) == wanted


async def test_a_write_of_another_key_changes_nothing(cache: CacheManager) -> None:
    loader = Loader(seconds=0.2)
    running = await aspawn(lambda: cache.aget_or_set("k", loader.aload))
    await auntil(lambda: loader.begun)
    await cache.aset("other", 1)
    await cache.adelete("another")
    await cache.adelete_matching("o*")
    await cache.namespace("inner").aclear()
    await cache.namespace("inner").adelete("k")
    assert await running.afinish() == "loaded"
    assert await cache.aget("k") == "loaded"


async def test_clear_of_what_is_around_a_namespace(cache: CacheManager) -> None:
    inner = cache.namespace("inner")
    for nested, wanted in ((False, "loaded"), (True, MISSING)):
        loader = Loader(seconds=0.2)
        running = await aspawn(lambda loader=loader: inner.aget_or_set("k", loader.aload))
        await auntil(lambda loader=loader: loader.begun)
        await cache.aclear(nested=nested)
        assert await running.afinish() == "loaded"
        assert await inner.aget("k", MISSING) == wanted
        await inner.aclear()


async def test_a_key_cannot_be_loaded_inside_its_own_load(cache: CacheManager) -> None:
    async def aload() -> Any:
        return await cache.aget_or_set("k", 1)

    with pytest.raises(RecursiveLoadError, match="'k'"):
        await cache.aget_or_set("k", aload)
    assert await cache.aget_or_set("k", 2) == 2


async def test_loads_may_be_nested(cache: CacheManager) -> None:
    async def aload() -> Any:
        return [await cache.aget_or_set("inner", 1), await cache.aget_or_set("inner", 2)]

    assert await cache.aget_or_set("outer", aload) == [1, 1]


async def test_a_miss_that_is_loaded_is_one_miss(cache: CacheManager) -> None:
    @cache.cached
    async def atwice(number: int) -> int:
        return 2 * number

    for number in range(5):
        assert await atwice(number) == 2 * number
        await cache.aget_or_set(f"k{number}", number)
    await cache.aget_or_set_many(["a", "b"], lambda keys: dict.fromkeys(keys, 1))
    assert (cache.stats().misses, cache.stats().hits) == (12, 0)


async def test_loads_after_close(kit: Kit) -> None:
    cache = kit.open()
    await cache.aclose()
    with pytest.raises(RuntimeError):
        await cache.aget_or_set("k", 1)
    with pytest.raises(RuntimeError):
        await cache.aget_or_set_many(["k"], lambda keys: {"k": 1})
