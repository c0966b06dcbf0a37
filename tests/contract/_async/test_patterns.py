# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
r"""Patterns of ``scan`` and ``delete_matching``: one meaning on every backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from symphra_cache import CacheError, InvalidPatternError

from ..acompat import acollect

if TYPE_CHECKING:
    from symphra_cache import CacheManager

KEYS = (
    "a",
    "A",
    "b",
    "c",
    "z",
    "0",
    "ab",
    "abc",
    "aab",
    "axb",
    "a/b",
    "a:b",
    "a.b",
    "a*b",
    "a?b",
    "a\nb",
    "a\0b",
    "a\\b",
    "\\",
    "*",
    "?",
    "-",
    "^",
    "!",
    "[",
    "]",
    "[a]",
    "[ab",
    "a]",
    "{a,b}",
    "(a)",
    "a+",
    "$",
    ".",
    "\n",
    "é",
    "e\u0301",
    "键",
    "键值",
    "🔑",
    "user:1",
    "user:12",
    "user:123:name",
    "users:1",
)
PATTERNS: dict[str, set[str]] = {
    "a": {"a"},
    "A": {"A"},
    "absent": set(),
    # * is any run of characters, newlines, NUL, colons and slashes included
    "user:*": {"user:1", "user:12", "user:123:name"},
    "*:1": {"user:1", "users:1"},
    "user*1": {"user:1", "users:1"},
    "*:*:*": {"user:123:name"},
    "a*b": {"ab", "aab", "axb", "a/b", "a:b", "a.b", "a*b", "a?b", "a\nb", "a\0b", "a\\b"},
    "a**b": {"ab", "aab", "axb", "a/b", "a:b", "a.b", "a*b", "a?b", "a\nb", "a\0b", "a\\b"},
    "*aab*": {"aab"},
    "*ab": {"ab", "aab", "[ab"},
    "*bc": {"abc"},
    "键*": {"键", "键值"},
    # ? is one character, not one byte
    "user:?": {"user:1"},
    "user:??": {"user:12"},
    "a?b": {"aab", "axb", "a/b", "a:b", "a.b", "a*b", "a?b", "a\nb", "a\0b", "a\\b"},
    "键?": {"键值"},
    "??值": set(),
    # [a-z] is one of a set
    "[abc]": {"a", "b", "c"},
    "[a-c]": {"a", "b", "c"},
    "[a-c]?": {"ab", "a]", "a+"},
    "[a-bz]": {"a", "b", "z"},
    "[c-a]": {"a", "b", "c"},  # backwards is forwards
    "[]": set(),  # one of none, as on Redis
    "[]a": set(),
    "*[]*": set(),
    "[az-]": {"a", "z", "-"},
    "[-a]": {"a", "-"},
    "[A-Z]": {"A"},
    "[0-9]": {"0"},
    "user:[0-9]": {"user:1"},
    "user:[0-9][0-9]": {"user:12"},
    "[é键🔑]": {"é", "键", "🔑"},
    "[🔐-🔒]": {"🔑"},
    "[.$]": {".", "$"},
    "[*]": {"*"},
    "[?]": {"?"},
    "[!a]": {"!", "a"},
    "[[]": {"["},
    "[a^]": {"a", "^"},
    "a[\n/]b": {"a\nb", "a/b"},
    "a[*?]b": {"a*b", "a?b"},
    "[a]": {"a"},
    # [^a] is one outside a set
    "a[^a-z]b": {"a/b", "a:b", "a.b", "a*b", "a?b", "a\nb", "a\0b", "a\\b"},
    "a[^a]b": {"axb", "a/b", "a:b", "a.b", "a*b", "a?b", "a\nb", "a\0b", "a\\b"},
    "user[^s]1": {"user:1"},
    "[^^]b": {"ab"},
    # \ takes the next character literally, in sets too
    "a\\*b": {"a*b"},
    "a\\?b": {"a?b"},
    "\\a\\b": {"ab"},
    "a\\\\b": {"a\\b"},
    "\\\\": {"\\"},
    "\\[a\\]": {"[a]"},
    "\\[a]": {"[a]"},
    "[\\]]": {"]"},
    "[\\]a]": {"]", "a"},
    "[\\^a]": {"^", "a"},
    "[a\\-c]": {"a", "-", "c"},
    "[\\\\]": {"\\"},
    "[\\a]": {"a"},
    "\\": {"\\"},
    "a\\": set(),
    "\\\n": {"\n"},
    # an unclosed [ is itself
    "[": {"["},
    "[ab": {"[ab"},
    "[a*": {"[ab", "[a]"},
    "[*": {"[", "[a]", "[ab"},
    "[?]*": {"?"},
    "[\\]": set(),
    "*[": {"["},
    "[^": set(),
    # everything else is itself
    "]": {"]"},
    "a]": {"a]"},
    "^": {"^"},
    "-": {"-"},
    "{a,b}": {"{a,b}"},
    "(a)": {"(a)"},
    "a+": {"a+"},
    "$": {"$"},
    ".": {"."},
    "\n": {"\n"},
    "é": {"é"},
    "e\u0301": {"e\u0301"},
    "!": {"!"},
}
ONE_CHARACTER = {key for key in KEYS if len(key) == 1}
PATTERNS |= {
    "*": set(KEYS),
    "**": set(KEYS),
    "?*": set(KEYS),
    "*?": set(KEYS),
    "?": ONE_CHARACTER,
    "[^a]": ONE_CHARACTER - {"a"},
    "[^]": ONE_CHARACTER,
    "[^a-z]": ONE_CHARACTER - {"a", "b", "c", "z"},
    "[^\\]]": ONE_CHARACTER - {"]"},
    "??*": set(KEYS) - ONE_CHARACTER,
    "*a*": {key for key in KEYS if "a" in key},
    "*[ab]": {key for key in KEYS if key[-1] in "ab"},
}
NO_PATTERNS: tuple[Any, ...] = ("", None, b"*", bytearray(b"*"), 1, True, ["*"], ("*",), object())


async def test_a_pattern_matches_these_keys_and_no_others(cache: CacheManager) -> None:
    await cache.aset_many(dict.fromkeys(KEYS, 1))
    for pattern, wanted in PATTERNS.items():
        assert sorted(await acollect(cache.ascan(pattern))) == sorted(wanted), repr(pattern)


async def test_delete_matching_removes_what_scan_finds(cache: CacheManager) -> None:
    for pattern, wanted in PATTERNS.items():
        await cache.aset_many(dict.fromkeys(KEYS, 1))
        assert await cache.adelete_matching(pattern) == len(wanted), repr(pattern)
        left = await acollect(cache.ascan())
        assert sorted(left) == sorted(set(KEYS) - wanted), repr(pattern)


async def test_what_is_no_pattern_is_refused(cache: CacheManager) -> None:
    await cache.aset("a", 1)
    for pattern in NO_PATTERNS:
        with pytest.raises(InvalidPatternError):
            await cache.adelete_matching(pattern)
        with pytest.raises(InvalidPatternError) as caught:
            await acollect(cache.ascan(pattern))
        assert isinstance(caught.value, CacheError)
        assert isinstance(caught.value, ValueError)
        assert "pattern" in str(caught.value)
        assert type(pattern).__name__ in str(caught.value)
    assert await cache.aexists("a")


def test_a_wrong_pattern_is_refused_by_the_call_of_scan(cache: CacheManager) -> None:
    for pattern in NO_PATTERNS:
        with pytest.raises(InvalidPatternError):
            cache.ascan(pattern)


async def test_a_subclass_of_str_is_a_pattern(cache: CacheManager) -> None:
    await cache.aset_many({"ab": 1, "b": 1})
    pattern = type("Text", (str,), {"__str__": lambda _: "b"})("a*")
    assert await acollect(cache.ascan(pattern)) == ["ab"]


async def test_a_pattern_without_end_is_quick(cache: CacheManager) -> None:
    await cache.aset("a" * 1_000, 1)
    assert await acollect(cache.ascan("a*" * 200 + "b")) == []
    assert await acollect(cache.ascan("*a" * 200 + "*")) == ["a" * 1_000]
    assert await acollect(cache.ascan("*" * 5_000 + "?" * 1_001)) == []


async def test_a_pattern_may_be_longer_than_any_key(cache: CacheManager) -> None:
    await cache.aset("a", 1)
    assert await acollect(cache.ascan("a" * 5_000)) == []
    assert await cache.adelete_matching("[" + "b" * 5_000 + "a]") == 1
