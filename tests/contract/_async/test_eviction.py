# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""What both eviction policies of memory promise."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from symphra_cache import CacheError, ConfigurationError

from ..acompat import acollect
from ..weights import weight

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..acompat import SteppedClock
    from ..backends import Kit

pytestmark = pytest.mark.needs("bounds")

BOUNDS: dict[str, dict[str, Any]] = {
    "max_size": {"max_size": 200},
    "max_bytes": {"max_bytes": 2_000, "sizeof": weight},
}
VALUE = b"x" * 10
# Ttls of entries that are written one after the other; all have passed after 20 seconds.
TTLS: dict[str, Callable[[Random, int], float]] = {
    "one": lambda random, number: 10,
    "ten": lambda random, number: 1 + number % 10,
    "falling": lambda random, number: 20 - number * 0.1,
    "rising": lambda random, number: 1 + number * 0.1,
    "all different": lambda random, number: 1 + 18 * random.random(),
}
each_bound = pytest.mark.parametrize("bound", BOUNDS)
each_ttls = pytest.mark.parametrize("ttls", TTLS)


@each_bound
@each_ttls
async def test_expired_entries_go_before_live_ones(
    kit: Kit, clock: SteppedClock, bound: str, ttls: str
) -> None:
    cache = kit.open(kit.make(**BOUNDS[bound]))
    random = Random(3)
    for number in range(100):
        await cache.aset(f"live-{number}", VALUE, ttl=None if number % 2 else 1_000)
        await cache.aset(f"short-{number}", VALUE, TTLS[ttls](random, number))
    assert cache.stats().entries == 200
    await clock.aadvance(20)
    for number in range(100):
        await cache.aset(f"new-{number}", VALUE, ttl=500)
    kept = set(await acollect(cache.ascan()))
    assert kept == {f"{kind}-{number}" for kind in ("live", "new") for number in range(100)}
    assert cache.stats().evictions == 0
    assert cache.stats().expirations == 100


@each_bound
async def test_entries_spread_by_a_jitter_go_before_live_ones(
    kit: Kit, clock: SteppedClock, bound: str
) -> None:
    cache = kit.open(kit.make(**BOUNDS[bound]), jitter=0.5, default_ttl=10)
    await cache.aset_many({f"live-{number}": VALUE for number in range(100)}, ttl=None)
    await cache.aset_many({f"short-{number}": VALUE for number in range(100)})
    await clock.aadvance(15)
    await cache.aset_many({f"new-{number}": VALUE for number in range(100)})
    kept = set(await acollect(cache.ascan()))
    assert kept == {f"{kind}-{number}" for kind in ("live", "new") for number in range(100)}
    assert cache.stats().evictions == 0


@each_bound
async def test_entries_prolonged_live_and_others_shortened_expire(
    kit: Kit, clock: SteppedClock, bound: str
) -> None:
    cache = kit.open(kit.make(**BOUNDS[bound]))
    for number in range(100):
        await cache.aset(f"prolonged-{number}", VALUE, ttl=4)
        await cache.aset(f"shortened-{number}", VALUE, ttl=500)
    for number in range(100):
        assert await cache.atouch(f"prolonged-{number}", 300 if number % 2 else None)
        assert await cache.atouch(f"shortened-{number}", 5)
    await clock.aadvance(10)
    await cache.aset_many({f"new-{number}": VALUE for number in range(100)})
    kept = set(await acollect(cache.ascan()))
    assert kept == {f"{kind}-{number}" for kind in ("prolonged", "new") for number in range(100)}
    assert cache.stats().evictions == 0


@each_bound
async def test_what_was_just_written_is_there(kit: Kit, bound: str) -> None:
    cache = kit.open(kit.make(**BOUNDS[bound]))
    random = Random(5)
    for number in range(2_000):
        key = f"k{random.randrange(400)}"
        await cache.aset(key, VALUE, ttl=random.choice([None, 5, 1 + random.random()]))
        assert await cache.aexists(key)
        assert await cache.aget(key) == VALUE
        await cache.aget(f"k{number % 7}")


@each_bound
async def test_what_is_read_all_the_time_stays(kit: Kit, bound: str) -> None:
    cache = kit.open(kit.make(**BOUNDS[bound]))
    await cache.aset("hot", VALUE)
    for number in range(2_000):
        await cache.aset(f"k{number}", VALUE)
        assert await cache.aget("hot") == VALUE
    assert cache.stats().evictions == 1_801


@each_bound
async def test_what_is_never_read_goes(kit: Kit, bound: str) -> None:
    cache = kit.open(kit.make(**BOUNDS[bound]))
    await cache.aset_many({f"old-{number}": VALUE for number in range(200)})
    await cache.aset_many({f"new-{number}": VALUE for number in range(2_000)})
    assert await cache.adelete_matching("old-*") == 0
    assert await cache.acount() == 200


async def test_namespaces_share_one_order(kit: Kit) -> None:
    cache = kit.open(kit.make(max_size=10))
    users = cache.namespace("users")
    other = kit.open(cache.backend, namespace="other")
    for number in range(100):
        for each in (cache, users, other):
            await each.aset(f"k{number}", number)
            await each.aget("k0")
    assert sum([await each.acount() for each in (cache, users, other)]) == 10
    for each in (cache, users, other):
        assert await each.aget("k0") == 0


def test_a_wrong_eviction_is_refused(kit: Kit) -> None:
    for wrong in ("LRU", "fifo", "", "s3-fifo", None, True, 0, b"lru", ["lru"]):
        with pytest.raises(
            ConfigurationError, match="eviction must be 'lru' or 's3fifo'"
        ) as caught:
            kit.make(eviction=wrong)
        got = repr(wrong) if isinstance(wrong, str) else type(wrong).__name__
        assert str(caught.value).endswith(f"got {got}")
        assert isinstance(caught.value, CacheError)
        assert isinstance(caught.value, ValueError)


@pytest.mark.needs("lru")
async def test_the_policy_is_lru_unless_given(kit: Kit) -> None:
    kept = []
    for options in ({}, {"eviction": "lru"}, {"eviction": "s3fifo"}):
        cache = kit.open(kit.make(max_size=3, **options))
        await cache.aset_many(dict.fromkeys("abc", 1))
        await cache.aget("a")
        await cache.aset("d", 1)
        kept.append("".join(sorted(await acollect(cache.ascan()))))
    assert kept == ["acd", "acd", "bcd"]  # one use alone keeps nothing in S3-FIFO
