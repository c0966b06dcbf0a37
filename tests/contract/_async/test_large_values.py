# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""Values too large for a page of the tree of names are kept apart, and no trace of one is left."""

from __future__ import annotations

import os
import random
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from ..acompat import acollect

if TYPE_CHECKING:
    from ..acompat import SteppedClock
    from ..backends import FileKit

pytestmark = pytest.mark.needs("file")

# Around the one from which on a frame goes elsewhere, and far beyond it.
SIZES = (0, 10, 800, 900, 950, 1_000, 5_000, 70_000, 1_000_000)


def bodies_of(kit: FileKit) -> int:
    with closing(sqlite3.connect(kit.folder / "cache-0.db")) as db:
        named = {row[0] for row in db.execute("SELECT body FROM entries WHERE body IS NOT NULL")}
        kept = {row[0] for row in db.execute("SELECT id FROM bodies")}
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert named == kept
    return len(kept)


@pytest.mark.parametrize("bounds", [{}, {"max_size": 50}, {"max_bytes": 8_000_000}])
async def test_values_of_any_size_replace_each_other(kit: FileKit, bounds: dict[str, int]) -> None:
    cache = kit.open(kit.make(**bounds))
    for old in SIZES:
        for new in SIZES:
            first, second = os.urandom(old), os.urandom(new)
            await cache.aset("k", first)
            assert await cache.aget("k") == first
            await cache.aset("k", second)
            assert await cache.aget("k") == second
            await cache.aset_many({"k": first, "l": second})
            assert await cache.aget_many(["k", "l"]) == {"k": first, "l": second}
            assert await acollect(cache.ascan()) in (["k", "l"], ["l", "k"])
            assert await cache.aexists("k")
            assert await cache.apop("k") == first
            assert await cache.aadd("k", second)
            assert await cache.apop("k") == second
            assert not await cache.aexists("k")
            if bounds:
                assert cache.stats().entries == 1
    await cache.aset("l", 1)
    assert await cache.aincr("l") == 2
    assert bodies_of(kit) == 0


async def test_large_values_go_whole(kit: FileKit, clock: SteppedClock) -> None:
    cache = kit.open(kit.make(max_size=20))
    for number in range(100):
        await cache.aset(f"k{number}", os.urandom(5_000), ttl=60)
    assert bodies_of(kit) == 20
    assert await cache.adelete("k99")
    assert await cache.adelete_many(["k98", "k97"]) == 2
    assert bodies_of(kit) == 17
    await clock.aadvance(61)
    for number in range(70):  # as many as it takes for expired rows to be looked for
        await cache.aset("small", number)
    assert bodies_of(kit) == 0
    await cache.aset_many({f"k{number}": os.urandom(5_000) for number in range(10)})
    assert bodies_of(kit) == 10
    await cache.aclear()
    assert bodies_of(kit) == 0


async def test_any_sequence_leaves_what_a_dict_would_hold(kit: FileKit) -> None:
    cache, model = kit.open(kit.make()), dict[str, bytes]()
    chance = random.Random(1)
    for _ in range(600):
        key, value = f"k{chance.randrange(12)}", chance.randbytes(chance.choice(SIZES[:7]))
        match chance.randrange(6):
            case 0 | 1:
                await cache.aset(key, value)
                model[key] = value
            case 2:
                assert await cache.adelete(key) == (model.pop(key, None) is not None)
            case 3:
                assert await cache.apop(key) == model.pop(key, None)
            case 4:
                assert await cache.aadd(key, value) == (key not in model)
                model.setdefault(key, value)
            case _:
                more = {f"k{n}": value[n:] for n in range(4)}
                await cache.aset_many(more)
                model |= more
        assert await cache.aget(key) == model.get(key)
    cache.backend.reload()  # type: ignore[attr-defined]
    assert await cache.aget_many([f"k{n}" for n in range(12)]) == {
        f"k{n}": model[f"k{n}"] for n in range(12) if f"k{n}" in model
    }
    # Name and frame take 40 bytes or so beside the value: 900 fits, 950 does not.
    assert bodies_of(kit) == sum(len(value) > 930 for value in model.values())
