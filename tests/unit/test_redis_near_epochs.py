"""What ends all entries at once: a server that is emptied, a link that breaks or falls silent.

The server is one that does what a test says; see ``near_server.py``.
"""

from __future__ import annotations

import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

import symphra_cache._redis_link as link
import symphra_cache._redis_tracking as tracking
from near_links import (
    backend_of,
    entries_of,
    near_of,
    steady_links,
    told,
    until,
    wait_heard,
    wait_linked,
)
from near_server import Callers, NearServer, near_server
from symphra_cache import CacheManager
from symphra_cache.backends import NearCache, RedisBackend

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = b"symphra:k"


@pytest.fixture
def server() -> Iterator[NearServer]:
    with near_server() as server:
        server.values[NAME] = b"1"
        yield server


@pytest.fixture(params=["blocking", "asyncio"])
def callers(request: pytest.FixtureRequest) -> Iterator[Callers]:
    callers = Callers(request.param)
    yield callers
    callers.close()


@pytest.fixture
def cache(server: NearServer, callers: Callers) -> Iterator[CacheManager]:
    """A manager with the value under ``k`` near, which stays there unless something happens."""
    with steady_links():
        yield from _cache(server, callers)


@pytest.fixture
def live(
    server: NearServer, callers: Callers, monkeypatch: pytest.MonkeyPatch
) -> Iterator[CacheManager]:
    """The same with a link that asks often, and is not trusted for long."""
    monkeypatch.setattr(link, "PROBE_EVERY", 0.25)
    monkeypatch.setattr(link, "TRUSTED", 0.55)
    yield from _cache(server, callers)


def _cache(server: NearServer, callers: Callers) -> Iterator[CacheManager]:
    near = NearCache(max_staleness=3600.0)
    with CacheManager(RedisBackend(server.url, near_cache=near)) as cache:
        keep(cache, callers)
        yield cache


def keep(cache: CacheManager, callers: Callers) -> Any:
    """Read the value until it is near; return it."""
    wait_linked(backend_of(cache))
    until(lambda: callers(cache, "get", "k") and NAME.decode() in entries_of(backend_of(cache)))
    return callers(cache, "get", "k")


def epoch_of(cache: CacheManager) -> Any:
    return near_of(backend_of(cache))._tracking._links[None].epoch


def reads(cache: CacheManager, server: NearServer, callers: Callers) -> tuple[Any, int]:
    """Read; return what, and how often the server was asked for it."""
    server.reads.clear()
    return callers(cache, "get", "k"), len(server.reads)


def test_a_flush_ends_what_is_near_and_what_is_about_to_be(
    server: NearServer, cache: CacheManager, callers: Callers
) -> None:
    epoch = epoch_of(cache)
    server.holds = True
    reading = callers.start(cache, 0, "get_many", ["k", "other"])  # the other is not near
    held = server.next_held()
    server.values[b"symphra:other"] = b"1"
    held.run()
    server.holds = False
    server.values.clear()
    server.tell()
    wait_heard(backend_of(cache), server.command)
    assert epoch_of(cache) is not epoch
    assert epoch_of(cache).until > time.monotonic()  # the link is as good as it was
    assert reads(cache, server, callers) == (None, 1)
    held.answer()
    assert reading.result(20) == {"k": 1, "other": 1}  # it had begun before
    assert callers(cache, "get", "other") is None
    server.values[NAME] = b"2"
    assert keep(cache, callers) == 2  # on the same link, at once
    assert server.links == 1


def test_a_link_that_breaks_ends_what_is_near_and_what_is_about_to_be(
    server: NearServer, cache: CacheManager, callers: Callers
) -> None:
    server.values[b"symphra:other"] = b"1"
    server.holds = True
    reading = callers.start(cache, 0, "get", "other")
    held = server.next_held()
    held.run()
    server.holds = False
    epoch = epoch_of(cache)
    server.values[NAME] = server.values[b"symphra:other"] = b"2"  # and nobody tells
    server.cut()
    until(lambda: epoch_of(cache) is not epoch)
    assert reads(cache, server, callers) == (2, 1)
    wait_linked(backend_of(cache))
    held.answer()
    assert reading.result(20) == 1
    assert callers(cache, "get", "other") == 2
    assert keep(cache, callers) == 2
    assert server.links == 2


def test_a_reader_whose_mark_is_of_a_broken_link_keeps_nobody_from_filling(
    server: NearServer, cache: CacheManager, callers: Callers
) -> None:
    near_of(backend_of(cache)).table.clear()
    server.holds = True
    reading = callers.start(cache, 0, "get", "k")
    held = server.next_held()
    server.holds = False
    epoch = epoch_of(cache)
    server.cut()
    until(lambda: epoch_of(cache) is not epoch)
    assert keep(cache, callers) == 1
    held.answer()
    assert reading.result(20) == 1
    # It may have been answered later than who has filled, so that is read once more.
    assert reads(cache, server, callers) == (1, 1)
    assert reads(cache, server, callers) == (1, 0)


def test_a_server_that_falls_silent_is_trusted_for_a_moment_only(
    server: NearServer,
    live: CacheManager,
    callers: Callers,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server.is_mute = True
    server.values[NAME] = b"2"
    begun = time.monotonic()
    until(lambda: callers(live, "get", "k") == 2)
    # One question unanswered is enough, when the next is due.
    assert time.monotonic() - begun < 10
    server.is_mute = False
    assert keep(live, callers) == 2
    assert told(caplog)[:2] == [False, True]
    assert "off until the server tells" in caplog.text
    assert "on again" in caplog.text


@pytest.mark.parametrize("callers", ["blocking"], indirect=True)
def test_a_thread_that_is_kept_from_looking_extends_no_lease(
    server: NearServer, live: CacheManager, callers: Callers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "TRUSTED", 0.2)
    epoch = epoch_of(live)
    until(lambda: epoch.until - time.monotonic() < 0.2)  # an answer that is good for so long
    monkeypatch.setattr(link, "PROBE_EVERY", 60.0)  # as if it never came to ask again
    until(lambda: not entries_of(backend_of(live)))
    assert reads(live, server, callers) == (1, 1)


def test_a_server_that_is_no_longer_the_master_ends_what_is_near(
    server: NearServer, live: CacheManager, callers: Callers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "PROBE_EVERY", 0.05)
    epoch = epoch_of(live)
    server.role = b"slave"
    until(lambda: epoch_of(live) is not epoch and epoch.until == 0.0)
    assert keep(live, callers) == 1


def test_what_is_told_of_no_prefix_is_not_kept(
    server: NearServer, cache: CacheManager, callers: Callers
) -> None:
    inner = cache.namespace("inner")
    server.values[b"symphra/inner:k"] = b"3"
    assert callers(inner, "get", "k") == 3  # the first read has the server asked to tell
    assert "symphra/inner:k" not in entries_of(backend_of(cache))
    wait_linked(backend_of(cache), "symphra/inner")
    assert callers(inner, "get", "k") == 3
    assert entries_of(backend_of(cache)) == ["symphra:k", "symphra/inner:k"]
    assert server.links == 2  # the second time with the new prefix, on the same connection


@pytest.mark.parametrize("callers", ["blocking"], indirect=True)
def test_each_change_of_a_link_is_logged_once(
    server: NearServer,
    live: CacheManager,
    callers: Callers,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tracking, "_RETRY_AT_ONCE", 0.01)
    monkeypatch.setattr(tracking, "_RETRY", 0.01)
    monkeypatch.setattr(link, "PROBE_EVERY", 0.02)
    monkeypatch.setattr(link, "TRUSTED", 5.0)
    server.role = b"slave"  # the link breaks, but the next is confirmed
    until(lambda: server.links >= 2)
    links, server.is_mute = server.links, True
    until(lambda: server.links >= links + 3)  # and these are not
    monkeypatch.setattr(link, "PROBE_EVERY", 1.0)
    server.is_mute = False
    until(lambda: told(caplog)[-1])
    states = told(caplog)
    assert states[0] is False
    assert all(one is not then for one, then in pairwise(states))
