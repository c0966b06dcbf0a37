# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""``stats``: what is counted, and by whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from symphra_cache import CacheStats, NotAnIntegerError, SerializationError

from .. import samples
from ..acompat import acollect

if TYPE_CHECKING:
    from collections.abc import Callable

    from symphra_cache import CacheManager

    from ..acompat import SteppedClock
    from ..backends import Kit

COUNTED = ("hits", "misses", "sets", "deletes", "corrupt", "errors")

# What is called on {"k": 1, "l": [1], "text": "a"}, and what it counts.
CALLS: dict[str, tuple[Callable[[CacheManager], Any], dict[str, int]]] = {
    "get": (lambda cache: cache.aget("k"), {"hits": 1}),
    "get of a list": (lambda cache: cache.aget("l"), {"hits": 1}),
    "get of nothing": (lambda cache: cache.aget("absent"), {"misses": 1}),
    "get_many": (
        lambda cache: cache.aget_many(["k", "absent", "l", "k", "gone", "text"]),
        {"hits": 3, "misses": 2},
    ),
    "get_many of nothing": (lambda cache: cache.aget_many([]), {}),
    "pop": (lambda cache: cache.apop("k"), {"hits": 1, "deletes": 1}),
    "pop of a list": (lambda cache: cache.apop("l"), {"hits": 1, "deletes": 1}),
    "pop of nothing": (lambda cache: cache.apop("absent"), {"misses": 1}),
    "set": (lambda cache: cache.aset("new", 1), {"sets": 1}),
    "set again": (lambda cache: cache.aset("k", 1), {"sets": 1}),
    "set expired": (lambda cache: cache.aset("new", 1, 0), {}),
    "set expired over an entry": (lambda cache: cache.aset("k", 1, 0), {}),
    "set_many": (lambda cache: cache.aset_many({"k": 1, "n": 2, "o": 3}), {"sets": 3}),
    "set_many of nothing": (lambda cache: cache.aset_many({}), {}),
    "set_many expired": (lambda cache: cache.aset_many({"n": 1, "k": 2}, 0), {}),
    "add": (lambda cache: cache.aadd("new", 1), {"sets": 1}),
    "add in vain": (lambda cache: cache.aadd("k", 1), {}),
    "add expired": (lambda cache: cache.aadd("new", 1, 0), {}),
    "incr": (lambda cache: cache.aincr("k"), {"sets": 1}),
    "incr of nothing": (lambda cache: cache.aincr("new"), {"sets": 1}),
    "incr expired": (lambda cache: cache.aincr("new", ttl=0), {}),
    "decr": (lambda cache: cache.adecr("k"), {"sets": 1}),
    "delete": (lambda cache: cache.adelete("k"), {"deletes": 1}),
    "delete of nothing": (lambda cache: cache.adelete("absent"), {}),
    "delete_many": (lambda cache: cache.adelete_many(["k", "absent", "l", "k"]), {"deletes": 2}),
    "delete_matching": (lambda cache: cache.adelete_matching("[kl]"), {"deletes": 2}),
    "clear": (lambda cache: cache.aclear(), {"deletes": 3}),
    "nested clear": (lambda cache: cache.aclear(nested=True), {"deletes": 3}),
    "exists": (lambda cache: cache.aexists("k"), {}),
    "exists of nothing": (lambda cache: cache.aexists("absent"), {}),
    "ttl": (lambda cache: cache.attl("k"), {}),
    "touch": (lambda cache: cache.atouch("k", 50), {}),
    "touch away": (lambda cache: cache.atouch("k", 0), {}),
    "touch of nothing": (lambda cache: cache.atouch("absent", 50), {}),
    "scan": (lambda cache: acollect(cache.ascan()), {}),
    "count": (lambda cache: cache.acount(), {}),
    "ping": (lambda cache: cache.aping(), {}),
}


async def afilled(kit: Kit, namespace: str) -> CacheManager:
    """Return a manager that has counted nothing, on entries that another one wrote."""
    await kit.open(namespace=namespace).aset_many({"k": 1, "l": [1], "text": "a"})
    return kit.open(namespace=namespace)


def test_a_new_manager_has_counted_nothing(cache: CacheManager) -> None:
    stats = cache.stats()
    assert type(stats) is CacheStats
    assert stats[:6] == (0, 0, 0, 0, 0, 0)
    assert stats.hit_ratio == 0.0


async def test_each_call_counts_this_and_nothing_else(kit: Kit) -> None:
    for number, (name, (call, counts)) in enumerate(CALLS.items()):
        cache = await afilled(kit, f"n{number}")
        await call(cache)
        stats = cache.stats()._asdict()
        wanted = {**dict.fromkeys(COUNTED, 0), **counts}
        assert {key: stats[key] for key in COUNTED} == wanted, name


async def test_what_expired_counts_as_nothing(
    cache: CacheManager, kit: Kit, clock: SteppedClock
) -> None:
    for number, (name, (call, _)) in enumerate(CALLS.items()):
        if name.startswith(("set", "add", "incr", "decr")):
            continue
        view = cache.namespace(f"n{number}")
        await view.aset_many({"k": 1, "l": [1], "text": "a"}, ttl=0.05)
        await clock.aadvance(0.06)
        before = cache.stats()
        await call(view)
        after = cache.stats()
        assert (after.hits, after.deletes) == (before.hits, before.deletes), name


async def test_failed_calls_count_nothing(kit: Kit) -> None:
    cache = await afilled(kit, "users")
    with pytest.raises(SerializationError):
        await cache.aset("new", samples.UNSTORABLE["socket"][0])
    with pytest.raises(SerializationError):
        await cache.aset_many({"new": 1, "k": samples.UNSTORABLE["socket"][0]})
    with pytest.raises(NotAnIntegerError):
        await cache.aincr("text")
    with pytest.raises(OverflowError):
        await cache.aincr("k", 2**63)
    assert cache.stats()[:6] == (0, 0, 0, 0, 0, 0)


async def test_each_manager_counts_for_itself(kit: Kit) -> None:
    first, second = kit.open(), kit.open()
    await first.aset("k", 1)
    await second.aget("k")
    await second.aget("absent")
    assert first.stats()[:6] == (0, 0, 1, 0, 0, 0)
    assert second.stats()[:6] == (1, 1, 0, 0, 0, 0)


async def test_stats_are_a_snapshot(cache: CacheManager) -> None:
    before = cache.stats()
    await cache.aset("k", 1)
    assert before.sets == 0
    assert cache.stats().sets == 1


async def test_the_hit_ratio_is_that_of_all_reads(cache: CacheManager) -> None:
    await cache.aset("k", 1)
    for key in ("k", "k", "k", "absent"):
        await cache.aget(key)
    assert cache.stats().hit_ratio == 0.75


async def test_usage_is_a_number_or_unknown(cache: CacheManager) -> None:
    await cache.aset("k", 1)
    for value in cache.stats()[6:]:
        assert value is None or (type(value) is int and value >= 0)


@pytest.mark.needs("bounds")
async def test_memory_knows_its_entries_without_counting(kit: Kit) -> None:
    first, second = kit.open(), kit.open(namespace="other")
    assert first.stats().entries == 0
    await first.aset_many({"a": 1, "b": 2})
    await second.aset("a", 1)
    assert first.stats().entries == second.stats().entries == 3
    await first.aset("a", 2)
    await first.adelete("b")
    assert first.stats().entries == 2
    await second.aclear()
    assert first.stats().entries == 1


@pytest.mark.needs("bounds")
async def test_evictions_are_those_of_the_backend(kit: Kit) -> None:
    first = kit.open(kit.make(max_size=2))
    second = kit.open(first.backend, namespace="other")
    assert first.stats().evictions == 0
    for number in range(5):
        await first.aset(f"k{number}", number)
    assert first.stats().evictions == second.stats().evictions == 3
    await second.aset("k", 1)
    assert first.stats().evictions == 4
    await second.adelete("k")
    assert first.stats().evictions == 4
    assert first.stats().deletes == 0


@pytest.mark.needs("fake_clock")
async def test_expirations_are_entries_that_were_noticed_and_dropped(
    kit: Kit, cache: CacheManager, clock: SteppedClock
) -> None:
    await cache.aset_many(dict.fromkeys("abcdefgh", 1), ttl=10)
    await cache.aset("living", 1)
    await cache.aset_many(dict.fromkeys(("later", "much later"), 1), ttl=1_000)
    await cache.aset("replaced", 1, ttl=10)
    await cache.aset("replaced", 2)
    before = cache.stats().expirations
    await clock.aadvance(10)
    assert await cache.aget("a") is None
    assert not await cache.adelete("b")
    assert not await cache.aexists("c")
    assert await cache.apop("d") is None
    assert not await cache.atouch("e")
    for number in range(300):  # writes, which tidy up
        await cache.aset(f"k{number}", 1)
    after = cache.stats().expirations
    assert before in (0, None)
    # Backends that remove by an expired entry's name need not have looked at it.
    assert after is None or 6 <= after <= 8
    assert after == 8 or not kit.can & {"bounds"}
