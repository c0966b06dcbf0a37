# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""What a key is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from symphra_cache import CacheError, InvalidKeyError

from ..acompat import acollect
from ..samples import Word
from .operations import KEYED

if TYPE_CHECKING:
    from symphra_cache import CacheManager

    from ..backends import Kit

ODD_KEYS = (
    " ",
    "  a  b ",
    "\0",
    "a\0b",
    "a\nb",
    "\r\n",
    "\t",
    ":",
    "a:b",
    "a::b:",
    "/",
    "a/b:c",
    "symphra:a",
    "{}",
    "{user}:1",
    "*",
    "a?[b-c]",
    "[^a]",
    "\\",
    "\\*",
    "'; DROP TABLE entries; --",
    "%s{0}$1",
    "!",
    "a!lock:b",
    "None",
    "0",
    "1",
    "1.0",
    "a",
    "A",
    "a ",
    "é",
    "e\u0301",
    "ß",
    "ss",
    "键",
    "🔑",
    "👩‍👩‍👧",
    "\u202e",
    "\ufeff",
    "\ufffd",
    "\uffff",
    "\U0010ffff",
    "\x7f",
    "\x80",
)
WRONG_KEYS = (
    b"bytes",
    bytearray(b"bytes"),
    1,
    1.0,
    True,
    None,
    ("a", "b"),
    ["a"],
    {"a": 1},
    object(),
    str,
    "",
    "a" * 1025,
    "é" * 512 + "a",
    "\ud800",
    "a\udfffb",
    "🔑" * 256 + "a",
)
LONGEST_KEYS = ("a" * 1024, "é" * 512, "键" * 341 + "a", "🔑" * 256, "\0" * 1024)


class Caseless(str):
    """Compares and hashes in its own way; so do header names of some frameworks."""

    __slots__ = ()

    def __hash__(self) -> int:
        return hash(str.lower(self))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and str.lower(self) == str.lower(other)

    def __str__(self) -> str:
        return "something else"


async def test_any_character_is_legal_in_a_key(cache: CacheManager) -> None:
    for number, key in enumerate(ODD_KEYS):
        assert await cache.aset(key, number)
    for number, key in enumerate(ODD_KEYS):
        assert await cache.aget(key) == number
        assert await cache.aexists(key)
    assert await cache.acount() == len(ODD_KEYS)
    assert sorted(await acollect(cache.ascan())) == sorted(ODD_KEYS)


async def test_no_two_keys_share_an_entry(cache: CacheManager) -> None:
    await cache.aset_many(dict.fromkeys(ODD_KEYS, "kept"))
    for left, key in zip(range(len(ODD_KEYS) - 1, -1, -1), ODD_KEYS, strict=True):
        assert await cache.apop(key) == "kept"
        assert not await cache.adelete(key)
        assert await cache.acount() == left


async def test_a_key_of_1024_utf8_bytes_is_legal(cache: CacheManager) -> None:
    for number, key in enumerate(LONGEST_KEYS):
        assert len(key.encode()) == 1024
        await cache.aset(key, number)
    for number, key in enumerate(LONGEST_KEYS):
        assert await cache.aget(key) == number
    assert sorted(await acollect(cache.ascan())) == sorted(LONGEST_KEYS)


async def test_the_namespace_does_not_count_to_the_length_of_a_key(kit: Kit) -> None:
    deep = kit.open(namespace="n" * 64).namespace("m" * 64).namespace("o" * 64)
    for key in LONGEST_KEYS:
        await deep.aset(key, key)
        assert await deep.aget(key) == key
    with pytest.raises(InvalidKeyError):
        await deep.aset("a" * 1025, 1)


@pytest.mark.parametrize("operation", KEYED)
async def test_every_operation_refuses_what_is_no_key(cache: CacheManager, operation: str) -> None:
    await cache.aset("a", "kept")
    for key in WRONG_KEYS:
        if isinstance(key, (bytearray, list, dict)) and operation == "set_many":
            continue  # no key of a mapping anyway
        with pytest.raises(InvalidKeyError):
            await KEYED[operation](cache, key)
    assert await acollect(cache.ascan()) == ["a"]
    assert await cache.aget("a") == "kept"
    assert (cache.stats().sets, cache.stats().hits, cache.stats().misses) == (1, 1, 0)


@pytest.mark.parametrize("operation", KEYED)
async def test_every_operation_refuses_a_wrong_key_in_a_nested_namespace(
    cache: CacheManager, operation: str
) -> None:
    view = cache.namespace("users")
    for key in (b"a", 1, None, "", "\ud800", "a" * 1025):
        with pytest.raises(InvalidKeyError):
            await KEYED[operation](view, key)
    assert await view.acount() == 0


async def test_an_invalid_key_is_a_cache_error_and_a_value_error(cache: CacheManager) -> None:
    with pytest.raises(InvalidKeyError) as caught:
        await cache.aget(1)  # type: ignore[arg-type]
    assert isinstance(caught.value, CacheError)
    assert isinstance(caught.value, ValueError)


TOLD: tuple[tuple[Any, str], ...] = (
    (b"secret", "bytes"),
    (1, "int"),
    (None, "NoneType"),
    (True, "bool"),
    (("secret",), "tuple"),
    ("", "0"),
    ("secret" * 200, "1200"),
    ("é" * 513, "1026"),
    ("secret\ud800", "surrogate"),
)


@pytest.mark.parametrize("operation", KEYED)
async def test_the_error_names_the_type_or_length_of_the_key_and_not_the_key(
    cache: CacheManager, operation: str
) -> None:
    for key, told in TOLD:
        with pytest.raises(InvalidKeyError, match="key") as caught:
            await KEYED[operation](cache, key)
        text = str(caught.value)
        assert told in text
        assert "secret" not in text
        assert "\ud800" not in text
        assert len(text) < 200


async def test_numbers_are_not_taken_for_their_text(cache: CacheManager) -> None:
    await cache.aset("1", "text")
    for key in (1, 1.0, True, b"1"):
        with pytest.raises(InvalidKeyError):
            await cache.aget(key)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", [(), ("users",)], ids=["plain", "nested"])
async def test_a_str_enum_is_its_text(cache: CacheManager, path: tuple[str, ...]) -> None:
    for name in path:
        cache = cache.namespace(name)
    await cache.aset(Word.RED, 1)
    assert await cache.aget("red") == 1
    await cache.aset("red", 2)
    assert await cache.aget(Word.RED) == 2
    assert await cache.aget_many([Word.RED, "red", Word.BLUE]) == {"red": 2}
    assert await cache.aexists(Word.RED)
    (key,) = await acollect(cache.ascan())
    assert (type(key), key) == (str, "red")
    assert await cache.adelete(Word.RED)


@pytest.mark.parametrize("path", [(), ("users",)], ids=["plain", "nested"])
async def test_a_subclass_of_str_is_its_text_however_it_compares(
    cache: CacheManager, path: tuple[str, ...]
) -> None:
    for name in path:
        cache = cache.namespace(name)
    await cache.aset("abc", "small")
    await cache.aset(Caseless("Abc"), "mixed")
    assert await cache.aget("Abc") == "mixed"
    assert await cache.aget("abc") == "small"
    assert await cache.aget(Caseless("Abc")) == "mixed"
    assert await cache.aget(Caseless("ABC"), "absent") == "absent"
    assert not await cache.aexists(Caseless("ABC"))
    found = await cache.aget_many([Caseless("abc"), Caseless("ABC"), Caseless("Abc")])
    assert {str.__str__(key): value for key, value in found.items()} == {
        "abc": "small",
        "Abc": "mixed",
    }
    assert await cache.adelete_many([Caseless("abc"), Caseless("ABC"), Caseless("Abc")]) == 2


async def test_set_many_takes_a_subclass_of_str_as_its_text(cache: CacheManager) -> None:
    await cache.aset_many({Word.RED: 1, Caseless("Abc"): 2})
    assert sorted(await acollect(cache.ascan())) == ["Abc", "red"]
    assert await cache.aget_many(["Abc", "red"]) == {"Abc": 2, "red": 1}
