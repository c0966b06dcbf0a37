"""Each way in which a reader, a writer of this process and one of another can come between."""

from __future__ import annotations

from math import inf
from struct import pack
from typing import Any

from symphra_cache import MISSING
from symphra_cache._hot_tier import HotTier

NAME, OTHER = b"n:k", b"n:other"


class Log:
    """Stands for the WAL index: a header whose counter rises with each commit."""

    def __init__(self) -> None:
        self.commits = 7
        self.salt = 1

    def read(self, _: slice) -> bytes:
        return pack("=IIIIQQQQ", 3007000, 0, self.commits, 1, self.salt, 0, 0, 0)


class Process:
    """One process that uses a file: what it reads and writes, step by step."""

    def __init__(self, log: Log, max_size: int = 10) -> None:
        self.log = log
        self.tier = HotTier(max_size)
        self.tier.attach("file", log.read)
        self.tier.look_at = inf

    def served(self, name: bytes = NAME) -> Any:
        """Return what the hot tier serves."""
        return self.tier.hit(name, lambda: 0)

    def fill(self, value: object, name: bytes = NAME) -> None:
        """Read a value from the file."""
        mark = self.tier.mark(name)
        assert mark is not None
        self.tier.fill(name, mark, (value, None, None))

    def read_until_calm(self) -> int:
        """Read without filling, as after a foreign commit; return how often that took."""
        for reads in range(100):
            if (mark := self.tier.mark(NAME)) is not None:
                self.tier.fill(NAME, mark, None)
                return reads
        raise AssertionError("nothing is ever kept again")

    def write(self, value: object, *, foreign: int = 0, kept: bool = True) -> None:
        """Write a value; others commit just after the commit, before it is published."""
        self.tier.begin([NAME])
        self.tier.locked()
        self.log.commits += 1 + foreign
        self.tier.committed()
        self.tier.end([NAME], {NAME: (value, None, None)} if kept else None)


def test_what_was_read_is_served_until_somebody_commits() -> None:
    process = Process(Log())
    process.fill(1)
    assert process.served() == 1
    process.log.commits += 1
    assert process.served() is MISSING


def test_what_was_read_before_a_foreign_commit_stays_outdated() -> None:
    process = Process(Log())
    process.fill(1)
    process.log.commits += 1
    process.read_until_calm()  # sees the commit
    process.fill(2, OTHER)
    assert process.served() is MISSING
    assert process.served(OTHER) == 2


def test_while_others_write_all_the_time_nothing_is_kept() -> None:
    process = Process(Log())
    process.fill(1, OTHER)
    for _ in range(100):
        process.log.commits += 1
        assert process.tier.mark(NAME) is None
    assert process.read_until_calm() < 20
    process.fill(2)
    assert process.served() == 2


def test_many_names_at_once_are_kept_or_not_like_single_ones() -> None:
    process = Process(Log())
    names = [b"n:%d" % number for number in range(9)]
    mark = process.tier.mark_all(names)
    process.tier.begin([names[0]])
    process.tier.locked()
    process.tier.fill_all(mark, dict.fromkeys(names, (1, None, None)))
    assert [process.served(name) for name in names] == [MISSING, *[1] * 8]
    process.tier.abandoned()
    process.tier.end([names[0]], None)
    mark = process.tier.mark_all(names)
    process.log.commits += 1
    process.tier.fill_all(mark, dict.fromkeys(names, (1, None, None)))
    assert process.served(names[1]) is MISSING
    assert process.tier.mark_all(names) is not None  # so many reads: whoever wrote is through


def test_an_own_commit_leaves_other_entries_served() -> None:
    process = Process(Log())
    process.fill(1, OTHER)
    process.write(5)
    assert process.served() == 5
    assert process.served(OTHER) == 1


def test_a_foreign_commit_right_after_our_own_outdates_both() -> None:
    process = Process(Log())
    process.fill(1, OTHER)
    process.write(5, foreign=1)
    assert process.served() is MISSING
    assert process.served(OTHER) is MISSING


def test_a_foreign_commit_between_reading_and_filling() -> None:
    process = Process(Log())
    mark = process.tier.mark(NAME)
    process.log.commits += 1
    assert mark is not None
    process.tier.fill(NAME, mark, ("old", None, None))
    assert process.served() is MISSING


def test_an_own_write_between_reading_and_filling_wins() -> None:
    process = Process(Log())
    mark = process.tier.mark(NAME)
    process.write("new")
    assert mark is not None
    process.tier.fill(NAME, mark, ("old", None, None))
    assert process.served() == "new"


def test_nothing_is_filled_while_the_name_is_written() -> None:
    process = Process(Log())
    process.fill("old")
    early = process.tier.mark(NAME)
    process.tier.begin([NAME])
    assert process.served() is MISSING
    assert process.tier.mark(NAME) is None
    assert early is not None
    process.tier.fill(NAME, early, ("old", None, None))
    assert process.served() is MISSING
    process.tier.locked()
    process.log.commits += 1
    process.tier.committed()
    process.tier.end([NAME], None)
    assert process.served() is MISSING
    process.fill("new")
    assert process.served() == "new"


def test_a_reader_that_meets_an_unpublished_commit_leaves_the_others_alone() -> None:
    process = Process(Log())
    process.fill(1, OTHER)
    generation = process.tier.generation
    process.tier.begin([NAME])
    process.tier.locked()
    process.log.commits += 1
    assert process.served(OTHER) is MISSING
    assert process.tier.mark(b"n:third") is None
    process.tier.committed()
    process.tier.end([NAME], None)
    assert process.served(OTHER) == 1
    assert process.tier.generation == generation


def test_a_foreign_commit_before_the_lock_is_noticed_by_the_writer() -> None:
    process = Process(Log())
    process.fill(1, OTHER)
    process.log.commits += 1
    process.write(5)
    assert process.served() == 5
    assert process.served(OTHER) is MISSING


def test_a_transaction_that_commits_nothing_changes_nothing() -> None:
    process = Process(Log())
    process.fill(1, OTHER)
    process.tier.begin([NAME])
    process.tier.locked()
    process.tier.committed()
    process.tier.end([NAME], None)
    assert process.served(OTHER) == 1


def test_a_transaction_that_failed_outdates_everything() -> None:
    process = Process(Log())
    process.fill(1, OTHER)
    process.tier.begin([NAME])
    process.tier.locked()
    process.tier.abandoned()
    process.tier.end([NAME], None)
    assert process.served(OTHER) is MISSING
    process.fill(1, OTHER)
    assert process.served(OTHER) == 1


def test_a_restarted_log_outdates_everything() -> None:
    process = Process(Log())
    process.fill(1)
    process.log.salt += 1
    assert process.served() is MISSING


def test_a_log_that_restarts_with_our_own_commit_does_not() -> None:
    process = Process(Log())
    process.fill(1, OTHER)
    process.tier.begin([NAME])
    process.tier.locked()
    process.log.salt += 1
    process.log.commits += 1
    process.tier.committed()
    process.tier.end([NAME], None)
    assert process.served(OTHER) == 1


def test_another_file_at_the_path_outdates_everything() -> None:
    process = Process(Log())
    process.fill(1)
    process.tier.attach("another file", Log().read)
    assert process.served() is MISSING


def test_nothing_is_served_once_the_index_is_closed() -> None:
    def closed(_: slice) -> bytes:
        raise ValueError("mmap closed or invalid")

    process = Process(Log())
    process.fill(1)
    process.tier.attach("file", closed)
    assert process.served() is MISSING
    assert process.tier.mark(NAME) is None


def test_two_writes_of_one_name_that_overlap_are_counted() -> None:
    process = Process(Log())
    process.tier.begin([NAME])
    process.tier.begin([NAME])
    process.tier.end([NAME], None)
    assert process.tier.mark(NAME) is None
    process.tier.end([NAME], None)
    assert process.tier.mark(NAME) is not None


def test_a_forked_child_starts_with_nothing() -> None:
    process = Process(Log())
    process.fill(1)
    process.tier.begin([OTHER])
    process.tier.start_over()
    assert process.served() is MISSING
    process.tier.attach("file", process.log.read)
    process.tier.look_at = inf
    process.fill(2, OTHER)
    assert process.served(OTHER) == 2


def test_a_size_of_zero_keeps_nothing() -> None:
    process = Process(Log(), max_size=0)
    assert process.tier.mark(NAME) is None
    process.write(1)
    assert process.served() is MISSING


def test_nothing_is_served_before_somebody_has_looked_at_the_path_again() -> None:
    process = Process(Log())
    process.fill(1)
    process.tier.look_at = 0.0
    assert process.served() is MISSING
    process.tier.look_at = inf
    assert process.served() == 1
