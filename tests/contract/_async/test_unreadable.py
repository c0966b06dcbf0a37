# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""Bytes that can't be read: a miss, counted, said once; never an exception, never a surprise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from symphra_cache import MISSING, NotAnIntegerError

from .. import samples
from ..acompat import acollect
from ..compare import difference

if TYPE_CHECKING:
    from collections.abc import Callable

    from symphra_cache import CacheManager

    from ..backends import FileKit, Kit

VALUE = {"name": "张三", "lines": [1, 2.5, None]}


def altered(kit: FileKit, key: str, at: int, byte: int) -> bytes:
    """Return the frame of a key with one byte of its header replaced, and a right checksum."""
    frame = kit.stored(key)
    return kit.sealed(key, frame[:at] + bytes([byte]) + frame[at + 1 : -4])


# What stands in place of the frame of a key; its header can't be read.
HEADLESS: dict[str, Callable[[FileKit, str], object]] = {
    "nothing": lambda kit, key: b"",
    "garbage": lambda kit, key: b"garbage",
    "long garbage": lambda kit, key: bytes(range(256)) * 9,
    "zeros": lambda kit, key: bytes(len(kit.stored(key))),
    "text": lambda kit, key: "text",
    "a number": lambda kit, key: kit.FOREIGN_NUMBER,
    "a float": lambda kit, key: 1.5,
    "decimal text": lambda kit, key: kit.FOREIGN_TEXT,
    "a header cut off": lambda kit, key: kit.stored(key)[: kit.HEADER - 1],
    "another magic": lambda kit, key: altered(kit, key, 0, 0),
    "a newer version": lambda kit, key: altered(kit, key, kit.VERSION_AT, 2),
    "an older version": lambda kit, key: altered(kit, key, kit.VERSION_AT, 0),
    "another codec": lambda kit, key: altered(kit, key, kit.CODEC_AT, 2),
    "an unknown codec": lambda kit, key: altered(kit, key, kit.CODEC_AT, 255),
    "an unknown kind": lambda kit, key: altered(kit, key, kit.KIND_AT, 9),
    "unknown flags": lambda kit, key: altered(kit, key, kit.FLAGS_AT, 128),
    "a tag that is not there": lambda kit, key: altered(kit, key, kit.TAGS_AT, 1),
    "a window of ages": lambda kit, key: altered(kit, key, kit.WINDOW_AT, 255),
    "tags without a tag": lambda kit, key: altered(kit, key, kit.HEADER - 9, 1),
    "a size that contradicts another": lambda kit, key: altered(kit, key, kit.HEADER - 5, 1),
    "a size beyond all bounds": lambda kit, key: kit.sealed(
        key, kit.stored(key)[: kit.HEADER - 8] + b"\xff" * 8 + kit.stored(key)[kit.HEADER : -4]
    ),
}
# The same; its header is sound, the rest is not.
DAMAGED: dict[str, Callable[[FileKit, str], object]] = {
    "a header alone": lambda kit, key: kit.stored(key)[: kit.HEADER],
    "a payload cut off": lambda kit, key: kit.stored(key)[:-9],
    "a checksum cut off": lambda kit, key: kit.stored(key)[:-1],
    "another letter in the payload": lambda kit, key: kit.stored(key).replace(b"name", b"nbme"),
    "a checksum of zeros": lambda kit, key: kit.stored(key)[:-4] + bytes(4),
    "a byte after the end": lambda kit, key: kit.stored(key) + b"\0",
    "twice the frame": lambda kit, key: kit.stored(key) * 2,
    "the frame of another key": lambda kit, key: kit.stored("other"),
    "the frame of another namespace": lambda kit, key: kit.stored(key, "neighbour"),
    "a sealed payload of nonsense": lambda kit, key: kit.sealed(
        key, kit.stored(key)[: kit.HEADER].ljust(len(kit.stored(key)) - 4, b"\xc1")
    ),
    "a sealed payload of several values": lambda kit, key: kit.sealed(
        key, kit.stored(key)[: kit.HEADER].ljust(len(kit.stored(key)) - 4, b"\xc0")
    ),
    "a sealed body that is too long": lambda kit, key: kit.sealed(
        key, kit.stored(key)[:-4] + b"\0"
    ),
}
UNREADABLE = {**HEADLESS, **DAMAGED}

pytestmark = pytest.mark.needs("bytes")


@pytest.fixture
def planted(kit: FileKit) -> CacheManager:
    """A cache with one sound entry, ``other``, and one of each kind that can't be read."""
    for cache in (kit.open(), kit.open(namespace="neighbour")):
        cache.set_many({**dict.fromkeys(UNREADABLE, VALUE), "other": VALUE})
    for name, make in UNREADABLE.items():
        kit.plant(name, make(kit, name))
    return kit.open()


async def test_bytes_that_were_left_alone_can_be_read(kit: FileKit, cache: CacheManager) -> None:
    await cache.aset("k", VALUE)
    frame = kit.stored("k")
    await cache.adelete("k")
    kit.plant("k", kit.sealed("k", frame[:-4]))
    assert difference(await cache.aget("k"), VALUE) is None
    assert cache.stats().corrupt == 0


async def test_unreadable_bytes_are_a_miss_counted_as_corrupt(planted: CacheManager) -> None:
    for number, key in enumerate(UNREADABLE, 1):
        assert await planted.aget(key, MISSING) is MISSING, key
        assert planted.stats()[:6] == (0, number, 0, 0, number, 0)
    assert await planted.aget_many([*UNREADABLE, "other"]) == {"other": VALUE}
    stats = planted.stats()
    assert stats.corrupt == stats.misses == 2 * len(UNREADABLE)
    assert stats.hits == 1


async def test_pop_of_unreadable_bytes_is_a_miss_and_removes_them(planted: CacheManager) -> None:
    for number, key in enumerate(UNREADABLE, 1):
        assert await planted.apop(key, "default") == "default", key
        assert await planted.apop(key, "default") == "default", key
        assert planted.stats().corrupt == number
        assert planted.stats().misses == number * 2


async def test_set_replaces_unreadable_bytes(planted: CacheManager) -> None:
    for key in UNREADABLE:
        await planted.aset(key, "new")
        assert await planted.aget(key) == "new"
    assert planted.stats().corrupt == 0


async def test_clear_takes_unreadable_bytes_along(planted: CacheManager) -> None:
    assert await planted.aclear() == 1 + len(DAMAGED)
    assert await planted.aget_many(UNREADABLE) == {}
    assert planted.stats().corrupt == 0


async def test_delete_takes_unreadable_bytes_along(planted: CacheManager) -> None:
    for key in UNREADABLE:
        assert await planted.adelete(key) is (key in DAMAGED)
        assert await planted.adelete(key) is False
    assert await planted.aget_many(UNREADABLE) == {}
    assert planted.stats().corrupt == 0


async def test_delete_many_takes_unreadable_bytes_along(planted: CacheManager) -> None:
    assert await planted.adelete_many(UNREADABLE) == len(DAMAGED)
    assert await planted.aget_many(UNREADABLE) == {}
    assert planted.stats().corrupt == 0


async def test_unreadable_bytes_are_no_counter(kit: FileKit, planted: CacheManager) -> None:
    for key in UNREADABLE:
        before = kit.stored(key)
        for count in (planted.aincr, planted.adecr):
            for ttl in (None, 50, 0):
                with pytest.raises(NotAnIntegerError):
                    await count(key, ttl=ttl)
        assert kit.stored(key) == before


async def test_an_unreadable_header_is_absent(planted: CacheManager) -> None:
    for key in HEADLESS:
        assert not await planted.aexists(key), key
        assert await planted.attl(key) == 0.0, key
        assert not await planted.atouch(key, 50), key
    assert sorted(await acollect(planted.ascan())) == sorted([*DAMAGED, "other"])
    assert await planted.acount() == 1 + len(DAMAGED)
    assert await planted.adelete_matching("*") == 1 + len(DAMAGED)


async def test_add_replaces_an_unreadable_header(planted: CacheManager) -> None:
    for key in HEADLESS:
        assert await planted.aadd(key, "new", ttl=50) is True, key
        assert await planted.aget(key) == "new"
        assert await planted.attl(key) is not None
        assert await planted.aadd(key, "newer") is False


async def test_a_readable_header_is_present(planted: CacheManager) -> None:
    for key in DAMAGED:
        assert await planted.aexists(key), key
        assert await planted.attl(key) is None, key
        assert await planted.aadd(key, "new") is False, key
        assert await planted.atouch(key, 50), key
        left = await planted.attl(key)
        assert left is not None
        assert 49 < left <= 50
        assert await planted.aget(key, MISSING) is MISSING, key


async def test_every_flipped_bit_is_found(kit: FileKit, cache: CacheManager) -> None:
    await cache.aset("k", [1, "a"])
    frame = kit.stored("k")
    flips = 0
    for at in range(len(frame)):
        for bit in range(8):
            flips += 1
            kit.plant("k", frame[:at] + bytes([frame[at] ^ 1 << bit]) + frame[at + 1 :])
            assert await cache.aget("k", MISSING) is MISSING, (at, bit)
    assert cache.stats().corrupt == flips
    kit.plant("k", frame)
    assert await cache.aget("k") == [1, "a"]


async def test_every_truncation_is_found(kit: FileKit, cache: CacheManager) -> None:
    await cache.aset("k", [1, "a"])
    frame = kit.stored("k")
    for size in range(len(frame)):
        kit.plant("k", frame[:size])
        assert await cache.aget("k", MISSING) is MISSING, size
    assert cache.stats().corrupt == len(frame)


async def test_swapped_entries_are_found(kit: FileKit, cache: CacheManager) -> None:
    await cache.aset_many({"a": "of a", "b": "of b"})
    kept = {key: kit.stored(key) for key in "ab"}
    kit.plant("a", kept["b"])
    kit.plant("b", kept["a"])
    assert await cache.aget_many(["a", "b"]) == {}
    assert cache.stats().corrupt == 2


async def test_unreadable_bytes_expire_like_others(kit: FileKit, cache: CacheManager) -> None:
    await cache.aset("k", VALUE, ttl=10)
    kit.plant("k", kit.stored("k")[:-1])
    await kit.clock.aadvance(10)
    assert await cache.aget("k", MISSING) is MISSING
    assert cache.stats().corrupt == 0
    assert await cache.aincr("k") == 1


@pytest.mark.needs("any_expiry")
@pytest.mark.parametrize("expires", ["soon", b"\xff", 1.5, 1e300, 2**63 - 1], ids=repr)
async def test_an_expiry_of_nonsense_raises_nothing(
    kit: FileKit, cache: CacheManager, expires: Any
) -> None:
    frames: Any = {}
    for number in range(130):  # so that whatever tidies up meets it too
        await cache.aset(f"k{number}", VALUE)
        frames[f"k{number}"] = kit.stored(f"k{number}")
    for key in ("k0", "k1", "k2", "k3"):
        kit.plant(key, frames[key], expires=expires)
    for number in range(4, 130):
        await cache.aset(f"k{number}", number)
    found = await cache.aget("k0", MISSING)
    assert isinstance(expires, (int, float)) or found is MISSING
    await cache.aget_many(["k0", "k1"])
    await cache.aexists("k0")
    await cache.attl("k0")
    await cache.acount()
    await acollect(cache.ascan())
    await cache.apop("k0")
    await cache.adelete("k1")
    await cache.aadd("k2", 1)
    await cache.atouch("k2", 50)
    await cache.adelete_many(["k2"])
    await cache.aset("k3", "new")
    assert await cache.aget("k3") == "new"


async def test_a_name_of_nonsense_is_left_out(kit: FileKit, cache: CacheManager) -> None:
    await cache.aset("k", VALUE)
    kit.plant_name(b"symphra:\xff\xfe", kit.stored("k"))
    assert await acollect(cache.ascan()) == ["k"]
    assert await cache.acount() == 1
    assert await cache.aclear() >= 1
    assert await cache.acount() == 0


async def test_it_is_logged_once_per_namespace(
    kit: FileKit, cache: CacheManager, caplog: pytest.LogCaptureFixture
) -> None:
    neighbour, view = kit.open(namespace="neighbour"), cache.namespace("users")
    paths = {"symphra": cache, "neighbour": neighbour, "symphra/users": view}
    for path, each in paths.items():
        await each.aset_many({"private-a": "secret", "private-b": "secret"})
        for key in ("private-a", "private-b"):
            kit.plant(key, kit.stored(key, path)[:-1], namespace=path)
    for each in (*paths.values(), kit.open(), *paths.values()):
        await each.aget("private-a")
        await each.aget_many(["private-a", "private-b"])
    records = [record for record in caplog.records if record.name == "symphra_cache"]
    assert [record.levelname for record in records] == ["WARNING"] * 3
    for path, record in zip(paths, records, strict=True):
        assert repr(path) in record.getMessage()
        assert "private" not in record.getMessage()
        assert "secret" not in record.getMessage()


async def test_what_can_be_read_is_not_logged(
    kit: Kit, cache: CacheManager, caplog: pytest.LogCaptureFixture
) -> None:
    await cache.aset("k", samples.CONTAINERS["list of everything"])
    await cache.aget("k")
    await cache.aget("absent")
    assert not [record for record in caplog.records if record.name == "symphra_cache"]
