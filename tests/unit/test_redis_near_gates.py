"""Reads, a foreign write, what the server tells of it, and replies: in every order, both faces.

The server does nothing by itself here: a test says when it runs what it was asked, when it
answers, and when it tells. So each order is one case, and none needs luck.
"""

from __future__ import annotations

from itertools import permutations
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from near_links import entries_of, near_of, steady_links, until, wait_heard, wait_linked
from near_server import OK, Callers, Held, NearServer, array, bulk, near_server
from symphra_cache import BackendUnavailableError, CacheManager
from symphra_cache.backends import NearCache, RedisBackend

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

OLD, NEW = 1, 2
FAILURE = b"-ERR something else\r\n"


@pytest.fixture(scope="module")
def running() -> Iterator[NearServer]:
    with near_server() as server:
        yield server


@pytest.fixture(scope="module", params=["blocking", "asyncio"])
def callers(request: pytest.FixtureRequest) -> Iterator[Callers]:
    callers = Callers(request.param)
    yield callers
    callers.close()


@pytest.fixture(scope="module")
def shared(running: NearServer, callers: Callers) -> Iterator[CacheManager]:
    near = NearCache(max_staleness=3600.0)
    with steady_links(), CacheManager(RedisBackend(running.url, near_cache=near)) as cache:
        yield cache


@pytest.fixture
def server(running: NearServer) -> NearServer:
    running.holds, running.is_mute, running.role = False, False, b"master"
    running.reads.clear()
    running.held.clear()
    return running


@pytest.fixture
def cache(shared: CacheManager, server: NearServer) -> Iterator[CacheManager]:
    """A manager whose link is up, with nothing near, and a value under ``k``."""
    backend = shared.backend
    assert isinstance(backend, RedisBackend)
    wait_linked(backend)
    near_of(backend).table.clear()
    server.values = {b"symphra:k": b"%d" % OLD, b"symphra:other": b"7"}
    yield shared
    assert not near_of(backend).table._marks  # nothing is left behind, whatever happened


def heard(cache: CacheManager, server: NearServer) -> None:
    """Wait until what was told has been heard."""
    assert isinstance(cache.backend, RedisBackend)
    wait_heard(cache.backend, server.command)


def is_near(cache: CacheManager, key: str = "k") -> bool:
    assert isinstance(cache.backend, RedisBackend)
    return f"symphra:{key}" in entries_of(cache.backend)


class Play:
    """Two readers of one name, a foreign write, and the news of it, step by step.

    It says itself what must come of each step: ``kept`` is what is near, ``mark`` whose fills
    count. A reader who finds nothing near has a mark, the one that is there or a new one; who
    fills takes it away, and so does what is told. Who was told something else than the first who
    had his mark takes away what is near, and the mark that stands: he may have been told later.
    """

    def __init__(
        self, server: NearServer, cache: CacheManager, callers: Callers, *, bulk: bool, late: bool
    ) -> None:
        self.server, self.cache, self.callers = server, cache, callers
        self.is_bulk, self.is_late = bulk, late
        self.kept: int | None = None
        self.mark: SimpleNamespace | None = None
        self.asked: dict[int, tuple[Future[Any], Held, SimpleNamespace, int]] = {}
        self.is_told = False
        self.value = OLD

    def run(self, *steps: str) -> None:
        for step in steps:
            what, _, who = step.partition(" ")
            getattr(self, what)(*([int(who)] if who else []))

    def read(self, who: int) -> None:
        """A reader asks; the server does it now, or, if late, when it answers."""
        before = len(self.server.reads)
        self.server.holds = self.kept is None
        arguments = ("get_many", ["k", "other"]) if self.is_bulk else ("get", "k")
        future = self.callers.start(self.cache, who, *arguments)
        if self.kept is not None:
            self.check(future, self.kept)
            assert len(self.server.reads) == before
            return
        held = self.server.next_held()
        self.server.holds = False
        if not self.is_late:
            held.run()
        self.mark = self.mark or SimpleNamespace(told=None)
        self.asked[who] = future, held, self.mark, self.value

    def reply(self, who: int) -> None:
        """The server answers a reader, if he had to ask."""
        if who not in self.asked:
            return
        future, held, mark, value = self.asked.pop(who)
        value = self.value if self.is_late else value
        held.answer()
        self.check(future, value)
        if mark is self.mark:
            self.kept, self.mark, mark.told = value, None, value
        elif mark.told != value:
            self.kept = self.mark = None

    def check(self, future: Future[Any], value: int) -> None:
        found = future.result(20)
        if self.is_bulk:
            assert found == {"k": value, "other": 7}
        else:
            assert found == value

    def second(self) -> None:
        """Another reader, who is answered at once."""
        is_told = self.is_told
        self.read(1)
        future = self.asked[1][0] if 1 in self.asked else None
        self.reply(1)
        if is_told and future is not None:
            assert future.result(0) in (NEW, {"k": NEW, "other": 7})

    def write(self) -> None:
        """Somebody else writes."""
        self.value = NEW
        self.server.values[b"symphra:k"] = b"%d" % NEW

    def push(self) -> None:
        """The server tells of it, and it is heard."""
        self.server.tell(b"symphra:k")
        heard(self.cache, self.server)
        self.kept = self.mark = None
        self.is_told = True

    def finish(self) -> None:
        """A third reader sees what is there, the fourth sees it near."""
        assert is_near(self.cache) is (self.kept is not None)
        assert self.kept in (None, NEW)
        self.run("read 2", "reply 2", "read 2")
        assert is_near(self.cache)


def ordered(events: tuple[str, ...], *pairs: tuple[str, str]) -> list[tuple[str, ...]]:
    """Return all orders in which the first of each pair comes before the second."""
    return [
        order
        for order in permutations(events)
        if all(order.index(first) < order.index(then) for first, then in pairs)
    ]


BASIC = ordered(
    ("read 0", "write", "push", "reply 0", "second"), ("read 0", "reply 0"), ("write", "push")
)
CROSSED = ordered(
    ("read 0", "reply 0", "read 1", "reply 1", "write", "push"),
    *(("read 0", "reply 0"), ("read 1", "reply 1"), ("write", "push"), ("read 0", "read 1")),
)


@pytest.mark.parametrize("bulk", [False, True], ids=["get", "get_many"])
@pytest.mark.parametrize("late", [False, True], ids=["run-first", "run-last"])
@pytest.mark.parametrize("order", BASIC, ids=" ".join)
def test_a_read_a_write_its_news_a_reply_and_a_second_reader(
    server: NearServer,
    cache: CacheManager,
    callers: Callers,
    order: tuple[str, ...],
    late: bool,
    bulk: bool,
) -> None:
    play = Play(server, cache, callers, bulk=bulk, late=late)
    play.run(*order)
    play.finish()


@pytest.mark.parametrize("order", CROSSED, ids=" ".join)
def test_two_reads_that_are_under_way_at_the_same_time(
    server: NearServer, cache: CacheManager, callers: Callers, order: tuple[str, ...]
) -> None:
    play = Play(server, cache, callers, bulk=False, late=False)
    play.run(*order)
    play.finish()


READS = pytest.mark.parametrize(
    "read", [("get", "k"), ("get_many", ["k", "other"])], ids=["get", "get_many"]
)


def asked(
    server: NearServer, cache: CacheManager, callers: Callers, who: int, call: tuple[Any, ...]
) -> tuple[Future[Any], Held]:
    """Begin a call that reaches the server, which runs it and does not answer."""
    server.holds = True
    future = callers.start(cache, who, *call)
    held = server.next_held()
    server.holds = False
    held.run()
    return future, held


@READS
def test_a_reader_that_fails_leaves_no_mark(
    server: NearServer, cache: CacheManager, callers: Callers, read: tuple[Any, ...]
) -> None:
    first, held = asked(server, cache, callers, 0, read)
    held.answer(FAILURE)
    with pytest.raises(BackendUnavailableError):
        first.result(20)
    assert not is_near(cache)
    assert callers(cache, "get", "k") == OLD
    assert is_near(cache)


@READS
def test_a_reader_that_fails_beside_another_keeps_nothing_old_near(
    server: NearServer, cache: CacheManager, callers: Callers, read: tuple[Any, ...]
) -> None:
    first, first_held = asked(server, cache, callers, 0, read)
    second, second_held = asked(server, cache, callers, 1, ("get", "k"))
    server.command("SET", b"symphra:k", b"2")
    heard(cache, server)
    first_held.answer(FAILURE)
    second_held.answer()
    assert isinstance(first.exception(20), BackendUnavailableError)
    assert second.result(20) == OLD  # whose read had begun before the write
    assert not is_near(cache)
    assert callers(cache, "get", "k") == NEW


@READS
def test_what_can_not_be_read_is_not_kept(
    server: NearServer, cache: CacheManager, callers: Callers, read: tuple[Any, ...]
) -> None:
    server.values[b"symphra:k"] = b"nonsense"
    assert not callers(cache, *read) or callers(cache, *read) == {"other": 7}
    assert not is_near(cache)
    server.values.pop(b"symphra:k")
    assert not callers(cache, *read) or callers(cache, *read) == {"other": 7}
    assert not is_near(cache)


@pytest.mark.parametrize("callers", ["asyncio"], indirect=True)
@READS
def test_a_reader_that_is_cancelled_leaves_no_mark_and_no_late_value(
    server: NearServer, cache: CacheManager, callers: Callers, read: tuple[Any, ...]
) -> None:
    first, held = asked(server, cache, callers, 0, read)
    second, second_held = asked(server, cache, callers, 1, ("get", "k"))  # shares the mark
    first.cancel()
    assert isinstance(cache.backend, RedisBackend)
    marks = near_of(cache.backend).table._marks
    until(lambda: "symphra:k" not in marks)
    held.answer()
    server.command("SET", b"symphra:k", b"2")
    heard(cache, server)
    second_held.answer()
    assert second.result(20) == OLD
    assert not is_near(cache)
    assert callers.start(cache, 0, "get", "k").result(20) == NEW  # on the connection of the first
    assert is_near(cache)


# Each way to write, and what the server answers.
WRITES: dict[str, tuple[tuple[Any, ...], bytes]] = {
    "set": (("set", "k", NEW), OK),
    "expired set": (("set", "k", NEW, 0), b":1\r\n"),
    "add": (("add", "k", NEW), OK),
    "delete": (("delete", "k"), array(bulk(b"1"))),
    "pop": (("pop", "k"), bulk(b"1")),
    "touch": (("touch", "k", 60), bulk(b"1")),
    "expired touch": (("touch", "k", 0), array(bulk(b"1"))),
    "incr": (("incr", "k"), array(bulk(b"2"), b":1\r\n")),
    "set_many": (("set_many", {"k": NEW}), OK),
    "expired set_many": (("set_many", {"k": NEW}, 0), array(bulk(b"1"))),
    "delete_many": (("delete_many", ["k"]), array(bulk(b"1"))),
}


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("fails", [False, True], ids=["done", "failed"])
def test_own_writes_are_read_though_nothing_was_told_of_them(
    server: NearServer, cache: CacheManager, callers: Callers, write: str, fails: bool
) -> None:
    call, reply = WRITES[write]
    assert callers(cache, "get", "k") == OLD
    assert is_near(cache)
    writing, held = asked(server, cache, callers, 0, call)
    # Nothing old is served while the write is under way.
    assert not is_near(cache)
    assert callers(cache, "get", "k") in (OLD, NEW)
    server.values[b"symphra:k"] = b"2"
    # What was read meanwhile is gone when it has returned, also if it may have been done.
    held.answer(FAILURE if fails else reply)
    assert (writing.exception(20) is not None) is fails
    assert not is_near(cache)
    assert callers(cache, "get", "k") == NEW


def test_a_read_that_began_during_an_own_write_is_not_kept(
    server: NearServer, cache: CacheManager, callers: Callers
) -> None:
    writing, held = asked(server, cache, callers, 0, ("set", "k", NEW))
    server.values[b"symphra:k"] = b"1"  # so far
    reading, read = asked(server, cache, callers, 1, ("get", "k"))
    server.values[b"symphra:k"] = b"2"
    held.answer()
    assert writing.result(20) is True
    read.answer()
    assert reading.result(20) == OLD
    assert not is_near(cache)
    assert callers(cache, "get", "k") == NEW


@pytest.mark.parametrize("callers", ["asyncio"], indirect=True)
def test_an_own_write_that_was_cancelled_may_have_been_done(
    server: NearServer, cache: CacheManager, callers: Callers
) -> None:
    writing, held = asked(server, cache, callers, 0, ("set", "k", NEW))
    server.values[b"symphra:k"] = b"1"
    assert callers(cache, "get", "k") == OLD
    server.values[b"symphra:k"] = b"2"
    writing.cancel()
    until(lambda: not is_near(cache))
    assert callers(cache, "get", "k") == NEW
    held.answer()
