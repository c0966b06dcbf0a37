"""Readers who share a mark may be told different things; nobody else may notice."""

from __future__ import annotations

from math import inf

from symphra_cache._redis_near import Epoch, NearCache, NearTable
from symphra_cache.types import MISSING

NAME = b"symphra:k"


def test_answers_of_two_readers_that_differ_leave_nothing() -> None:
    """One of them is older than what a caller has seen by now, and it is not told which."""
    table, epoch = NearTable(NearCache()), Epoch(inf)
    first, second = (table.mark(NAME, epoch, 0) for _ in range(2))
    table.fill(NAME, first, ("old", None), reply=b"old")
    assert table.hit(NAME) == "old"
    table.fill(NAME, second, ("new", None), reply=b"new")
    assert table.hit(NAME) is MISSING


def test_a_reader_who_finds_nothing_leaves_nothing() -> None:
    table, epoch = NearTable(NearCache()), Epoch(inf)
    first, second = (table.mark(NAME, epoch, 0) for _ in range(2))
    table.fill(NAME, first, ("old", None), reply=b"old")
    table.fill(NAME, second, None, reply=None)
    assert table.hit(NAME) is MISSING


def test_answers_that_are_the_same_stay() -> None:
    table, epoch = NearTable(NearCache()), Epoch(inf)
    marks = [table.mark(NAME, epoch, 0) for _ in range(3)]
    for mark in marks:
        table.fill(NAME, mark, ("value", None), reply=b"value")
        assert table.hit(NAME) == "value"


def test_an_answer_to_a_question_from_before_a_write_leaves_nothing() -> None:
    """It may be newer than what was read after the write was told of: one more has come since."""
    table, epoch = NearTable(NearCache()), Epoch(inf)
    early = table.mark(NAME, epoch, 0)
    table.drop([NAME])
    late = table.mark(NAME, epoch, 0)
    table.fill(NAME, late, ("new", None), reply=b"new")
    table.fill(NAME, early, ("newest", None), reply=b"newest")
    assert table.hit(NAME) is MISSING


def test_an_answer_to_a_question_from_before_a_write_lets_nothing_be_kept_either() -> None:
    """The same, but what was read in between comes last."""
    table, epoch = NearTable(NearCache()), Epoch(inf)
    early = table.mark(NAME, epoch, 0)
    table.drop([NAME])
    late = table.mark(NAME, epoch, 0)
    table.fill(NAME, early, ("newest", None), reply=b"newest")
    table.fill(NAME, late, ("new", None), reply=b"new")
    assert table.hit(NAME) is MISSING
