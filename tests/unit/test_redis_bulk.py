"""Bulk calls on Redis: each key and value is treated as by the call for one alone."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

import pytest

from redis_servers import RedisServer, shared_server
from symphra_cache import CacheManager, InvalidKeyError
from symphra_cache.backends import RedisBackend
from symphra_cache.serializers import PickleSerializer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faces import Caller

SECRET = "0123456789abcdef0123456789abcdef"
INTEGERS = [0, 1, -1, 9, 10, -10, 10**17, 10**18 - 1, 10**18, 2**63 - 1, -(2**63)]
TEXTS = [*("012", "+1", "1_000", " 1", "1\n", "-0", "", "9223372036854775808", "00", "1" * 30)]
OTHERS: list[Any] = [None, True, 2**63, 1.5, "7", "text", b"7", [1], {"id": 7}, {"deep": [{1j}]}]


@pytest.fixture
def server() -> RedisServer:
    return shared_server().fresh()


@pytest.fixture
def cache(server: RedisServer) -> Iterator[CacheManager]:
    with CacheManager(RedisBackend(server.url)) as cache:
        yield cache


class Name(StrEnum):
    K = "k"


class Unequal(str):
    """Text that equals nothing."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


@pytest.mark.parametrize(
    "values", [INTEGERS, OTHERS, INTEGERS + OTHERS], ids=["ints", "rest", "all"]
)
@pytest.mark.parametrize("absent", [0, 1, 3])
def test_what_is_read_is_what_each_key_gives(
    cache: CacheManager, call: Caller, values: list[Any], absent: int
) -> None:
    entries = {f"k{place}": value for place, value in enumerate(values)}
    assert call(cache, "set_many", entries, 300) == []
    for key in [*entries][:absent]:
        call(cache, "delete", key)
    asked = [*reversed(entries), "never", *entries]
    found = call(cache, "get_many", asked)
    assert list(found) == [key for key in reversed(entries) if key in [*entries][absent:]]
    for key, value in found.items():
        assert (type(value), value) == (type(entries[key]), entries[key])
        assert call(cache, "get", key) == value
    stats = cache.stats()
    assert (stats.hits, stats.misses, stats.corrupt) == (2 * len(found), absent + 1, 0)
    assert stats.sets == len(entries)


def test_unreadable_bytes_among_others_are_left_out_and_counted(
    server: RedisServer, cache: CacheManager, call: Caller
) -> None:
    good = {"a": 1, "b": {"id": 2}, "c": "three"}
    call(cache, "set_many", good)
    for place, text in enumerate(TEXTS):
        server.command("SET", f"symphra:bad{place}", text)
    server.command("RPUSH", "symphra:list", "x")
    bad = [f"bad{place}" for place in range(len(TEXTS))]
    asked = ["a", *bad[:5], "b", "list", *bad[5:], "c"]
    assert list(call(cache, "get_many", asked).items()) == list(good.items())
    stats = cache.stats()
    assert (stats.hits, stats.misses, stats.corrupt) == (3, len(bad) + 1, len(bad))
    assert call(cache, "get_many", bad) == {}
    assert cache.stats().corrupt == 2 * len(bad)


def test_integers_that_are_to_be_signed_are_not_read_as_text(
    server: RedisServer, call: Caller
) -> None:
    serializer = PickleSerializer(SECRET, sign_integers=True)
    with CacheManager(RedisBackend(server.url, serializer=serializer)) as cache:
        call(cache, "set_many", {"signed": 7})
        server.command("SET", "symphra:plain", "7")
        assert call(cache, "get_many", ["signed", "plain"]) == {"signed": 7}
        assert call(cache, "get", "plain") is None
        assert cache.stats().corrupt == 2


def test_more_than_goes_into_one_piece(
    server: RedisServer, cache: CacheManager, call: Caller
) -> None:
    entries: dict[str, Any] = {f"k{number}": number for number in range(2_000)}
    entries |= {f"large{number}": chr(97 + number) * 700_000 for number in range(3)}
    for ttl in (None, 9, 300):
        assert call(cache, "set_many", entries, ttl) == []
        assert call(cache, "get_many", list(entries)) == entries
        left = server.command("PTTL", "symphra:k1999")
        assert left == -1 if ttl is None else 0 < left <= ttl * 1_000
        assert call(cache, "delete_many", entries) == len(entries)


@pytest.mark.parametrize("kind", [list, tuple, set, iter, dict.fromkeys, "keys", "generator"])
def test_keys_may_stand_in_anything(cache: CacheManager, call: Caller, kind: Any) -> None:
    entries = {"a": 1, "b": [2]}
    call(cache, "set_many", entries)
    asked = {"keys": entries.keys(), "generator": (key for key in entries)}
    given = asked[kind] if isinstance(kind, str) else kind(["a", "b"])
    assert call(cache, "get_many", given) == entries


def test_keys_count_as_their_text(server: RedisServer, cache: CacheManager, call: Caller) -> None:
    assert call(cache, "set_many", {Unequal("k"): 1, Unequal("k"): 2, Name.K: 3, "other": 4}) == []
    assert sorted(server.command("KEYS", "*")) == [b"symphra:k", b"symphra:other"]
    found = call(cache, "get_many", [Name.K, "other", Unequal("k"), "k"])
    assert found == {"k": 3, "other": 4}
    assert {type(key) for key in found} == {str}
    assert call(cache, "delete_many", [Unequal("k"), "k"]) == 1


@pytest.mark.parametrize("wrong", ["", "\ud800", "x" * 1_025, "\U0001f600" * 257, 1, None])
def test_one_wrong_key_has_nothing_done(
    server: RedisServer, cache: CacheManager, call: Caller, wrong: Any
) -> None:
    with pytest.raises(InvalidKeyError):
        call(cache, "set_many", {"good": 1, wrong: 2})
    for name in ("get_many", "delete_many"):
        with pytest.raises(InvalidKeyError):
            call(cache, name, ["good", wrong])
    longest = "\U0001f600" * 256
    assert call(cache, "set_many", {longest: 1}) == []
    assert call(cache, "get_many", [longest]) == {longest: 1}
    assert server.command("DBSIZE") == 1
