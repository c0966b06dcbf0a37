# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""Bytes of an attacker: whatever stands in the file, reading it runs nothing."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest

from symphra_cache import MISSING
from symphra_cache.serializers import JSONSerializer, PickleSerializer

from .. import samples

if TYPE_CHECKING:
    from pathlib import Path

    from symphra_cache import CacheManager

    from ..backends import FileKit

OURS, THEIRS = "o" * 32, "t" * 32

pytestmark = pytest.mark.needs("bytes", "serializer")


def planted_frames(kit: FileKit, bomb: bytes) -> dict[str, bytes]:
    """Return forms in which somebody might hand us a pickle under the key ``k``."""
    plain = kit.stored("k")
    size = len(bomb).to_bytes(4, "big")
    head = bytearray(plain[: kit.HEADER - 8] + size + size)
    pickled = head.copy()
    pickled[kit.CODEC_AT] = 3
    signed = pickled.copy()
    signed[kit.FLAGS_AT] = 4
    return {
        "the pickle itself": bomb,
        "after our header": bytes(head) + bomb,
        "with a checksum": kit.sealed("k", bytes(head) + bomb),
        "said to be a pickle": kit.sealed("k", bytes(pickled) + bomb),
        "said to be signed": bytes(signed) + bomb + bytes(32),
        "said to be signed, with a checksum": kit.sealed("k", bytes(signed) + bomb),
    }


@pytest.mark.parametrize("serializer", [None, PickleSerializer(OURS), JSONSerializer()], ids=repr)
async def test_a_planted_pickle_is_a_miss_and_runs_nothing(
    kit: FileKit, tmp_path: Path, serializer: object
) -> None:
    trap = tmp_path / "sprung"
    bomb = pickle.dumps(samples.Bomb(str(trap)))
    cache = kit.open(kit.make(serializer=serializer))
    await cache.aset("k", "value")
    frames = planted_frames(kit, bomb)
    for name, frame in frames.items():
        kit.plant("k", frame)
        assert await cache.aget("k", MISSING) is MISSING, name
        assert await cache.aget_many(["k"]) == {}
        await cache.aexists("k")
        await cache.aadd("k", "new")
        kit.plant("k", frame)
        assert await cache.apop("k", MISSING) is MISSING, name
    assert not trap.exists()
    assert cache.stats().corrupt >= 3 * len(frames)
    pickle.loads(bomb)
    assert trap.exists()


async def test_a_pickle_that_somebody_else_signed_is_a_miss(kit: FileKit, tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    theirs = kit.open(kit.make(serializer=PickleSerializer(THEIRS)))
    await theirs.aset("k", samples.Bomb(str(trap)))
    for serializer in (None, PickleSerializer(OURS), PickleSerializer([OURS, OURS[::-1] + "x"])):
        ours = kit.open(kit.again(serializer=serializer))
        assert await ours.aget("k", MISSING) is MISSING
        assert ours.stats().corrupt == 1
    assert not trap.exists()


async def test_a_signed_pickle_is_good_for_its_own_key_alone(kit: FileKit) -> None:
    cache = kit.open(kit.make(serializer=PickleSerializer(OURS)))
    await cache.aset("k", samples.Plain([1]))
    await cache.aset("other", samples.Plain([2]))
    assert await cache.aget("k") == samples.Plain([1])
    kit.plant("k", kit.stored("other"))
    assert await cache.aget("k", MISSING) is MISSING


async def test_a_value_of_another_serializer_is_a_miss(kit: FileKit) -> None:
    serializers = (None, JSONSerializer(), PickleSerializer(OURS))
    caches: list[CacheManager] = [kit.open(kit.make(serializer=serializers[0]))]
    caches += [kit.open(kit.again(serializer=each)) for each in serializers[1:]]
    for writer in caches:
        await writer.aset("k", {"a": 1})
        kit.wait_heard()
        for reader in caches:
            found = await reader.aget("k", MISSING)
            assert found == {"a": 1} if reader is writer else found is MISSING
            assert await reader.aexists("k") is (reader is writer)
