"""The hot tier around a single statement, which locks, writes and commits in one step."""

from __future__ import annotations

from math import inf

import pytest

from symphra_cache._hot_load import Load
from symphra_cache._hot_tier import HotTier
from symphra_cache.types import MISSING

NAME, OTHER = b"n:key", b"n:other"


class File:
    """A file by what the hot tier sees of it: a header that tells how many commits there were."""

    def __init__(self) -> None:
        self.commits = 0

    def header(self, _: slice) -> bytes:
        return bytes(8) + self.commits.to_bytes(4, "little") + bytes(36)


class Process:
    """One process that has the file open."""

    def __init__(self) -> None:
        self.file = File()
        self.tier = HotTier(10)
        self.tier.attach("file", self.file.header)
        self.tier.look_at = inf
        self.fill("as it was", OTHER)

    def served(self, name: bytes = NAME) -> object:
        return self.tier.hit(name, lambda: 0)

    def fill(self, value: object, name: bytes) -> None:
        mark = self.tier.mark(name)
        assert mark is not None
        self.tier.fill(name, mark, (value, None, None))

    def write(self, value: object, *, before: int = 0, after: int = 0) -> None:
        """Write; others commit so often before the statement has the lock, and after it."""
        self.tier.begin_single(NAME)
        self.file.commits += before + 1 + after
        self.tier.end_single(NAME, (value, None, None), is_committed=True)


@pytest.fixture
def process() -> Process:
    return Process()


def test_what_was_written_is_served_and_the_others_stay(process: Process) -> None:
    process.write("new")
    process.write("newer")
    assert process.served() == "newer"
    assert process.served(OTHER) == "as it was"


@pytest.mark.parametrize(("before", "after"), [(1, 0), (0, 1), (3, 2)])
def test_a_foreign_commit_close_by_outdates_everything(
    process: Process, before: int, after: int
) -> None:
    process.write("new", before=before, after=after)
    assert process.served() is MISSING
    assert process.served(OTHER) is MISSING


def test_nothing_is_served_under_the_name_while_it_is_written(process: Process) -> None:
    process.write("old")
    process.tier.begin_single(NAME)
    assert process.served() is MISSING
    assert process.tier.mark(NAME) is None
    assert process.tier.mark_all([NAME, OTHER]) is not None
    process.file.commits += 1
    assert process.served() is MISSING
    process.tier.end_single(NAME, None, is_committed=True)
    assert process.served() is MISSING
    assert process.served(OTHER) == "as it was"


def test_what_was_read_before_the_write_is_not_filled_after_it(process: Process) -> None:
    early = process.tier.mark(NAME)
    process.tier.begin_single(NAME)
    process.tier.fill(NAME, early, ("old", None, None))
    process.file.commits += 1
    process.tier.fill(NAME, early, ("old", None, None))
    process.tier.end_single(NAME, None, is_committed=True)
    process.tier.fill(NAME, early, ("old", None, None))
    assert process.served() is MISSING


def test_a_mark_is_told_from_another_of_the_same_name(process: Process) -> None:
    early = process.tier.mark(NAME)
    process.write("new")
    late = process.tier.mark(NAME)
    process.tier.fill(NAME, early, ("old", None, None))
    assert process.served() == "new"
    process.tier.fill(NAME, late, ("newest", None, None))
    assert process.served() == "newest"


def test_names_that_are_being_written_are_not_filled_with_many_others(process: Process) -> None:
    process.tier.begin_single(NAME)
    mark = process.tier.mark_all([NAME, OTHER])
    process.tier.end_single(NAME, None, is_committed=False)
    process.file.commits += 1
    process.tier.begin_single(OTHER)
    process.tier.end_single(OTHER, None, is_committed=False)
    process.tier.fill_all(mark, dict.fromkeys([NAME, OTHER], ("old", None, None)))
    assert NAME not in process.tier.entries
    assert OTHER not in process.tier.entries


def test_a_statement_that_failed_may_have_been_carried_out(process: Process) -> None:
    process.tier.begin_single(NAME)
    process.tier.end_single(NAME, ("new", None, None), is_committed=False)
    assert process.served() is MISSING
    assert process.served(OTHER) is MISSING


def test_a_page_is_filled_but_for_what_was_written_since_it_was_begun(process: Process) -> None:
    load = Load(process.tier)
    load.begin_page()
    process.write("new")
    process.tier.entries.clear()  # evicted
    generation = load.generation
    assert generation is not None
    load.fill_page(dict.fromkeys((NAME, b"n:third"), (generation, "of the file", None, None)))
    load.end()
    assert process.served() is MISSING
    assert process.served(b"n:third") == "of the file"


def test_of_two_writes_one_within_the_other_the_last_to_end_is_kept(process: Process) -> None:
    process.tier.begin_single(NAME)
    process.write("inner")  # by a finalizer, say
    assert process.served() is MISSING
    process.file.commits += 1
    process.tier.end_single(NAME, ("outer", None, None), is_committed=True)
    assert process.served() in ("outer", MISSING)
