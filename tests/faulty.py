"""A backend around another one that fails when a test says so, as an outage would."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from redis_servers import shared_server
from symphra_cache import BackendUnavailableError
from symphra_cache.backends import FileBackend, MemoryBackend, RedisBackend

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    import pytest

    from faces import Caller
    from symphra_cache import CacheManager
    from symphra_cache._metrics import Counters
    from symphra_cache.backends.base import Backend, Keyspace

NAMES = (
    *("get", "set", "add", "pop", "delete", "exists", "touch", "ttl", "incr", "get_many"),
    *("set_many", "delete_many", "delete_matching", "count", "clear"),
)
BLOCKING = frozenset(NAMES)
ASYNCIO = frozenset(f"a{name}" for name in NAMES)
KINDS = ("memory", "file", "redis")
PATIENCE = 20


def outages_of(cache: CacheManager) -> Any:
    """Return what a degrading manager knows of outages."""
    return cache._keyspace._inner._outages  # type: ignore[attr-defined]


def on_a_slow_machine(patch: pytest.MonkeyPatch) -> None:
    """Have refusals count as quick that a busy machine delivers late."""
    for face in ("_async", "_sync"):
        patch.setattr(f"symphra_cache.{face}.degrading.QUICK", 10.0)


def faulty_backend(kind: str, folder: Path) -> FaultyBackend:
    """Return a backend of one of the `KINDS`, with nothing in it, that fails when told to."""
    makers: dict[str, Callable[[], Backend]] = {
        "memory": MemoryBackend,
        "file": lambda: FileBackend(folder / "cache.db"),
        "redis": lambda: RedisBackend(shared_server().fresh().url),
    }
    return FaultyBackend(makers[kind]())


def inner(cache: CacheManager) -> CacheManager:
    """Return a namespace two levels inside another."""
    return cache.namespace("inner").namespace("most")


def fill(call: Caller, cache: CacheManager) -> None:
    """Store what a test is about to have outdated."""
    call(cache, "set_many", {"k": "old", "kin": "old", "other": "old"})
    call(inner(cache), "set", "k", "old")


def fail(faulty: FaultyBackend, do: Callable[[], Any], *, applied: bool = False) -> None:
    """Do something in an outage that is over afterwards."""
    faulty.faults.break_all(applied=applied)
    do()
    faulty.faults.mend()


class Faults:
    """When calls fail, and which are held up.

    Attributes:
        broken: names of the operations that fail; those of the blocking face stand for both.
        applied: whether they are done all the same, and the answer is lost.
        failed: what the error of a bulk call tells, if not nothing.
        takes: seconds that pass before one fails.
        calls: names of all operations, in the order they came.
    """

    def __init__(self) -> None:
        self.broken: frozenset[str] = frozenset()
        self.applied = False
        self.failed: list[str] = []
        self.takes = 0.0
        self.calls: list[str] = []
        self.gates: dict[str, Gate] = {}

    def break_all(self, *, applied: bool = False, takes: float = 0.0) -> None:
        self.broken, self.applied, self.takes = BLOCKING | {"scan"}, applied, takes

    def mend(self) -> None:
        self.broken, self.failed, self.takes = frozenset(), [], 0.0

    @contextmanager
    def held(self, name: str) -> Iterator[Gate]:
        """Hold up the next call of an operation before it is done, until released."""
        gate = Gate()
        self.gates[name] = gate
        try:
            yield gate
        finally:
            gate.released.set()

    def error(self, name: str) -> BackendUnavailableError | None:
        """Take note of a call; return what it is to raise."""
        self.calls.append(name)
        if name not in self.broken:
            return None
        cause = OSError("the wire is cut")
        error = BackendUnavailableError("the backend is out of reach", failed=self.failed)
        error.__cause__ = cause
        return error


class Gate:
    """Where a call waits for a test."""

    def __init__(self) -> None:
        self.arrived = threading.Event()
        self.released = threading.Event()

    def wait(self) -> None:
        assert self.arrived.wait(PATIENCE)

    async def pause(self) -> None:
        """Have a call of the asyncio face wait, while its loop goes on."""
        self.arrived.set()
        end = time.monotonic() + PATIENCE
        while not self.released.is_set():
            assert time.monotonic() < end
            await asyncio.sleep(0.001)


class FaultyKeyspace:
    """One namespace of it; every operation goes through `Faults`."""

    def __init__(self, inner: Keyspace, faults: Faults, counters: Counters | None) -> None:
        self._inner = inner
        self._faults = faults
        self._counters = counters

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._inner, name)
        if name in BLOCKING:
            return self._blocking(name, call)
        if name in ASYNCIO:
            return self._asyncio(name[1:], call)
        return call

    def _blocking(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*arguments: Any, **named: Any) -> Any:
            faults = self._faults
            error = faults.error(name)
            if gate := faults.gates.pop(name, None):
                gate.arrived.set()
                assert gate.released.wait(PATIENCE)
            if error is None or faults.applied:
                answer = call(*arguments, **named)
            if error is not None:
                time.sleep(faults.takes)
                raise self._counted(error)
            return answer

        return guarded

    def _asyncio(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        async def guarded(*arguments: Any, **named: Any) -> Any:
            faults = self._faults
            error = faults.error(name)
            if gate := faults.gates.pop(name, None):
                await gate.pause()
            if error is None or faults.applied:
                answer = await call(*arguments, **named)
            if error is not None:
                await asyncio.sleep(faults.takes)
                raise self._counted(error)
            return answer

        return guarded

    def _counted(self, error: BackendUnavailableError) -> BackendUnavailableError:
        if self._counters is not None:
            self._counters.errors += 1
        return error

    def scan(self, pattern: str = "*") -> Iterator[str]:
        error = self._faults.error("scan")
        yield from self._inner.scan(pattern) if error is None else self._first(pattern)
        if error is not None:
            raise self._counted(error)

    def _first(self, pattern: str) -> list[str]:
        return list(self._inner.scan(pattern))[:1]

    async def ascan(self, pattern: str = "*") -> AsyncIterator[str]:
        error = self._faults.error("scan")
        async for key in self._inner.ascan(pattern):
            yield key
            if error is not None:
                break
        if error is not None:
            raise self._counted(error)


class FaultyBackend(FaultyKeyspace):
    """A backend whose calls fail when its `faults` say so."""

    kind: ClassVar[str] = "faulty"

    def __init__(self, inner: Backend) -> None:
        super().__init__(inner, Faults(), None)
        self._backend = inner

    @property
    def faults(self) -> Faults:
        return self._faults

    def keyspace(self, path: str, counters: Counters) -> FaultyKeyspace:
        return FaultyKeyspace(self._backend.keyspace(path, counters), self._faults, counters)

    def __repr__(self) -> str:
        return f"FaultyBackend({self._backend!r})"
