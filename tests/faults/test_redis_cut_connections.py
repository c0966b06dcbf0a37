"""The connection to the server is reset at every byte of what is asked and answered.

What the cache then says must agree with what the server has done: a call that returned was done
exactly once, one that failed once or not at all, and no answer goes to a later call.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from memory_checks import LONG
from redis_servers import shared_server
from symphra_cache import BackendUnavailableError, CacheManager
from symphra_cache.backends import RedisBackend
from tcp_proxy import running_proxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faces import Caller
    from tcp_proxy import Direction, TCPProxy

STEP = 1 if LONG else 11  # bytes between two cuts
MUCH = 400  # bytes, of which not each is tried
REPLIES = 100 if LONG else 20  # that must be right after each
TIMEOUT = 5.0
QUICK = 2.0  # seconds: nothing waits for its time-out where there is no connection any more

OLD, NEW = ["old"] * 3, ["new"] * 3
BEFORE: dict[str, Any] = {"k": OLD, "l": OLD, "n": 5}
KEYS = ["k", "l", "m", "n"]

pytestmark = pytest.mark.timeout(600)


class Operation(NamedTuple):
    """A call, what it returns, and what the entries are once it is done."""

    name: str
    arguments: tuple[Any, ...]
    answer: Any
    after: dict[str, Any] = BEFORE


ALL_NEW = {"k": NEW, "l": NEW, "m": NEW}
INCR = Operation("incr", ("n", 3), 8, BEFORE | {"n": 8})
DELETE_MANY = Operation("delete_many", (KEYS,), 3, {})
OPERATIONS = [
    Operation("get", ("k",), OLD),
    Operation("set", ("k", NEW), True, BEFORE | {"k": NEW}),
    Operation("add", ("m", NEW), True, BEFORE | {"m": NEW}),
    Operation("pop", ("k",), OLD, {"l": OLD, "n": 5}),
    Operation("delete", ("k",), True, {"l": OLD, "n": 5}),
    Operation("exists", ("k",), True),
    Operation("touch", ("k", 60), True),
    Operation("ttl", ("k",), None),
    INCR,
    Operation("get_many", (KEYS,), BEFORE),
    Operation("set_many", (ALL_NEW,), [], BEFORE | ALL_NEW),
    DELETE_MANY,
    Operation("scan", (), ["k", "l", "n"]),
    Operation("count", (), 3),
    Operation("delete_matching", ("[kl]",), 2, {"n": 5}),
    Operation("clear", (), 3, {}),
]
SCRIPTS = [INCR, DELETE_MANY]
operations = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)


@pytest.fixture
def proxy() -> Iterator[TCPProxy]:
    with running_proxy(shared_server().fresh().address) as proxy:
        yield proxy


class Trial:
    """A cache behind the proxy, one beside it that knows the truth, and what was found.

    Attributes:
        anew: whether each call is the first of a cache, which has yet to connect.
        forgotten: whether the server is told to forget its scripts before each call.
    """

    def __init__(self, call: Caller, proxy: TCPProxy) -> None:
        self.call, self.proxy = call, proxy
        self.anew = self.forgotten = False
        self.cache = behind(proxy)
        self.truth = CacheManager(RedisBackend(shared_server().url))
        self.replies = {f"k{number}": f"value {number}" for number in range(REPLIES)}
        self.truth.namespace("after").set_many(self.replies)
        self.returned = self.failed = self.done = 0
        self.longest = 0.0

    def answer(self, operation: Operation) -> Any:
        """Make the call on the entries as they are before."""
        self.truth.clear()
        self.truth.set_many(BEFORE)
        if self.forgotten:
            shared_server().command("SCRIPT", "FLUSH")
        if self.anew:
            self.call(self.cache, "close")
            self.cache = behind(self.proxy)
        begun = time.monotonic()
        try:
            if operation.name == "scan":
                return self.call.scan(self.cache)
            return self.call(self.cache, operation.name, *operation.arguments)
        finally:
            self.longest = max(self.longest, time.monotonic() - begun)

    def cut_everywhere(self, operation: Operation) -> None:
        """Cut the connection at one place after another, and print what was found."""
        sizes = self.measure(operation)
        for direction, size in sizes.items():
            # Every byte of what is short; of scripts, and of what a server says of itself, a few.
            step = STEP if size < MUCH else max(STEP, 7)
            for place in sorted({*range(0, size, step), 1, size - 1, size}):
                self.cut(operation, direction, place)
        print(
            f"\n{operation.name}: {sizes['request']} + {sizes['reply']} bytes, "
            f"{self.returned + self.failed} cuts: {self.returned} returned, "
            f"{self.failed} failed, of which {self.done} were done; "
            f"longest {self.longest * 1000:.0f} ms"
        )
        assert self.returned <= 2  # the answer was there, or all but its last bytes
        assert self.longest < QUICK

    def measure(self, operation: Operation) -> dict[Direction, int]:
        """Return how many bytes the call sends and receives, when all goes well."""
        for _ in range(2):  # the server learns the script, the next call connects
            self.proxy.count()
            assert self.answer(operation) == operation.answer
        assert self.truth.get_many(KEYS) == operation.after
        return self.proxy.passed

    def cut(self, operation: Operation, direction: Direction, after: int) -> None:
        """Cut the connection during the call, and compare what each side says."""
        self.proxy.cut(direction, after)
        try:
            answer = self.answer(operation)
        except BackendUnavailableError as error:
            self.check_failed(operation, error)
        else:
            assert answer == operation.answer
            assert self.truth.get_many(KEYS) == operation.after
            self.returned += 1
        assert self.proxy.has_cut
        self.check_replies()

    def check_failed(self, operation: Operation, error: BackendUnavailableError) -> None:
        """Check that a call was done or not, or for bulk calls, for which keys."""
        assert error.__cause__ is not None
        found = self.truth.get_many(KEYS)
        for key in KEYS:
            either = (BEFORE.get(key), operation.after.get(key))
            assert found.get(key) in either, f"{key} is {found.get(key)!r}"
            if operation.name == "set_many" and key not in error.failed:
                assert found.get(key) == operation.after.get(key)
        self.failed += 1
        self.done += found == operation.after != BEFORE

    def check_replies(self) -> None:
        """Check that each of the next calls gets its own answer."""
        after = self.cache.namespace("after")
        for number, (key, value) in enumerate(self.replies.items()):
            try:
                found = self.call(after, "get", key)
            except BackendUnavailableError:
                # The loop stood still as the connection was cut after the last byte.
                assert number == 0
                found = self.call(after, "get", key)
            assert found == value

    def close(self) -> None:
        self.call(self.cache, "close")
        self.truth.close()


def behind(proxy: TCPProxy) -> CacheManager:
    backend = RedisBackend(proxy.url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT)
    return CacheManager(backend)


@pytest.fixture
def trial(call: Caller, proxy: TCPProxy) -> Iterator[Trial]:
    trial = Trial(call, proxy)
    yield trial
    trial.close()


@operations
def test_a_cut_connection_leaves_no_doubt_about_what_was_done(
    trial: Trial, operation: Operation
) -> None:
    trial.cut_everywhere(operation)


@pytest.mark.parametrize("operation", SCRIPTS, ids=lambda each: each.name)
def test_nor_does_one_that_is_cut_while_the_server_learns_a_script(
    trial: Trial, operation: Operation
) -> None:
    trial.forgotten = True
    trial.cut_everywhere(operation)


def test_a_connection_that_is_cut_while_it_is_made_leaves_no_doubt(trial: Trial) -> None:
    trial.anew = True
    trial.cut_everywhere(INCR)
