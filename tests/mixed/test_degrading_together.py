"""`on_outage="degrade"` with threads and tasks at once: nothing stale, nothing fresh destroyed.

A removal that pays for an outage is held up by the test while others read and write the same key,
from whichever face.
"""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from faulty import FaultyBackend, outages_of
from symphra_cache import BackendUnavailableError, CacheManager
from symphra_cache.backends import MemoryBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from faulty import Gate

PATIENCE = 20
faces = pytest.mark.parametrize("face", ["blocking", "asyncio"])
claimants = pytest.mark.parametrize("claimant", ["blocking", "asyncio"])


@pytest.fixture
def faulty() -> FaultyBackend:
    return FaultyBackend(MemoryBackend())


@pytest.fixture
def cache(faulty: FaultyBackend) -> CacheManager:
    return CacheManager(faulty, on_outage="degrade")


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that runs in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join(PATIENCE)
    loop.close()


@pytest.fixture
def begin(cache: CacheManager, loop: asyncio.AbstractEventLoop) -> Iterator[Callable[..., Any]]:
    """Begins a call through a face; its answer is had by ``result(PATIENCE)``."""
    with ThreadPoolExecutor(8) as pool:

        def begun(face: str, name: str, *arguments: Any) -> Any:
            if face == "blocking":
                return pool.submit(getattr(cache, name), *arguments)
            return asyncio.run_coroutine_threadsafe(getattr(cache, f"a{name}")(*arguments), loop)

        yield begun


def owe(faulty: FaultyBackend, cache: CacheManager, name: str, *arguments: Any) -> None:
    """Have something fail that leaves an old value under ``k``."""
    cache.set("k", "old")
    faulty.faults.break_all()
    getattr(cache, name)(*arguments)
    faulty.faults.mend()
    faulty.faults.calls.clear()


def arrived(gate: Gate) -> None:
    assert gate.arrived.wait(PATIENCE)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


DEBTS = pytest.mark.parametrize(
    ("failed", "removal"),
    [
        (("set", "k", "lost"), "delete_many"),
        (("delete", "k"), "delete_many"),
        (("delete_matching", "k*"), "delete_matching"),
        (("clear",), "clear"),
    ],
    ids=["set", "delete", "pattern", "clear"],
)


@claimants
@faces
@DEBTS
def test_a_value_written_during_the_removal_stays(
    faulty: FaultyBackend,
    cache: CacheManager,
    begin: Callable[..., Any],
    claimant: str,
    face: str,
    failed: tuple[Any, ...],
    removal: str,
) -> None:
    owe(faulty, cache, *failed)
    with faulty.faults.held(removal) as gate:
        reader = begin(claimant, "get", "unheard of")
        arrived(gate)
        writer = begin(face, "set", "k", "fresh")
        until(lambda: "set" in faulty.faults.calls)  # done, before the removal is
        gate.released.set()
        assert writer.result(PATIENCE) is True
        assert reader.result(PATIENCE) is None
    assert cache.get("k") == "fresh"
    assert not outages_of(cache).alert or outages_of(cache)._failing


@claimants
@faces
@pytest.mark.parametrize(("name", "answer"), [("add", True), ("incr", 7)])
def test_what_needs_the_truth_waits_for_the_removal(
    faulty: FaultyBackend,
    cache: CacheManager,
    begin: Callable[..., Any],
    claimant: str,
    face: str,
    name: str,
    answer: object,
) -> None:
    owe(faulty, cache, "delete", "k")
    with faulty.faults.held("delete_many") as gate:
        reader = begin(claimant, "get", "unheard of")
        arrived(gate)
        caller = begin(face, name, "k", 7)
        time.sleep(0.02)
        assert not caller.done()
        gate.released.set()
        assert caller.result(PATIENCE) == answer
        reader.result(PATIENCE)
    assert cache.get("k") == 7


@claimants
@faces
@DEBTS
def test_nobody_reads_or_waits_during_the_removal(
    faulty: FaultyBackend,
    cache: CacheManager,
    begin: Callable[..., Any],
    claimant: str,
    face: str,
    failed: tuple[Any, ...],
    removal: str,
) -> None:
    cache.set("other", 1)
    owe(faulty, cache, *failed)
    with faulty.faults.held(removal) as gate:
        reader = begin(claimant, "get", "unheard of")
        arrived(gate)
        for name, arguments, answer in [
            ("get", ("k", "gone"), "gone"),
            ("get_many", (["k"],), {}),
            ("exists", ("k",), False),
            ("ttl", ("k",), 0.0),
            ("touch", ("k", 5), False),
            ("pop", ("k", "gone"), "gone"),
        ]:
            assert begin(face, name, *arguments).result(PATIENCE) == answer
        wanted = "gone" if removal == "clear" else 1
        assert begin(face, "get", "other", "gone").result(PATIENCE) == wanted
        assert not reader.done()
        gate.released.set()
        reader.result(PATIENCE)


@claimants
@faces
def test_a_key_that_is_being_written_is_left_to_its_writer(
    faulty: FaultyBackend, cache: CacheManager, begin: Callable[..., Any], claimant: str, face: str
) -> None:
    owe(faulty, cache, "delete", "k")
    with faulty.faults.held("set") as gate:
        writer = begin(face, "set", "k", "fresh")
        arrived(gate)
        assert begin(claimant, "get", "k", "gone").result(PATIENCE) == "gone"
        gate.released.set()
        assert writer.result(PATIENCE) is True
    assert cache.get("k") == "fresh"
    assert "delete_many" not in faulty.faults.calls


@claimants
@faces
def test_a_write_that_fails_during_the_removal_is_owed_anew(
    faulty: FaultyBackend, cache: CacheManager, begin: Callable[..., Any], claimant: str, face: str
) -> None:
    owe(faulty, cache, "delete", "k")
    with faulty.faults.held("delete_many") as gate:
        reader = begin(claimant, "get", "unheard of")
        arrived(gate)
        faulty.faults.broken, faulty.faults.applied = frozenset({"set"}), True
        assert begin(face, "set", "k", "lost").result(PATIENCE) is True
        faulty.faults.mend()
        gate.released.set()
        reader.result(PATIENCE)
    MemoryBackend.set(faulty._backend.keyspace("symphra", cache._counters), "k", "lost")
    assert cache.get("k") is None
    assert faulty.faults.calls.count("delete_many") == 2


async def test_a_removal_that_is_cancelled_stays_owed(
    faulty: FaultyBackend, cache: CacheManager
) -> None:
    owe(faulty, cache, "delete", "k")
    for _ in range(2):
        with faulty.faults.held("delete_many") as gate:
            reader = asyncio.create_task(cache.aget("k"))
            await asyncio.to_thread(arrived, gate)
            reader.cancel()
            with suppress(asyncio.CancelledError):
                await reader
        assert not outages_of(cache)._ledgers["symphra"].claims
        assert outages_of(cache).owes("symphra", "k")
    assert await cache.aget("k") is None
    assert not outages_of(cache).owes("symphra", "k")


async def test_a_write_that_is_cancelled_leaves_its_key_to_others(
    faulty: FaultyBackend, cache: CacheManager
) -> None:
    owe(faulty, cache, "delete", "k")
    with faulty.faults.held("set") as gate:
        writer = asyncio.create_task(cache.aset("k", "cancelled"))
        await asyncio.to_thread(arrived, gate)
        writer.cancel()
        with suppress(asyncio.CancelledError):
            await writer
    assert await cache.aget("k") is None
    assert not outages_of(cache)._ledgers


async def test_a_blocking_write_on_the_loop_of_a_removal_does_not_hang(
    faulty: FaultyBackend, cache: CacheManager
) -> None:
    """It would wait for a task that can't go on; the removal may take away what it wrote."""
    owe(faulty, cache, "delete", "k")
    with faulty.faults.held("delete_many") as gate:
        reader = asyncio.create_task(cache.aget("unheard of"))
        await asyncio.to_thread(arrived, gate)
        begun = time.monotonic()
        assert cache.set("k", "new") is True
        assert time.monotonic() - begun < 0.5
        with pytest.raises(BackendUnavailableError, match="try again"):
            cache.add("k", "new")
        gate.released.set()
        await reader
    assert cache.get("k") is None


@faces
def test_a_write_waits_only_so_long(
    faulty: FaultyBackend,
    cache: CacheManager,
    begin: Callable[..., Any],
    face: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("symphra_cache._debts.PATIENCE", 0.05)
    owe(faulty, cache, "delete", "k")
    with faulty.faults.held("delete_many") as gate:
        reader = begin("blocking", "get", "unheard of")
        arrived(gate)
        assert begin(face, "set", "k", "new").result(PATIENCE) is True
        gate.released.set()
        reader.result(PATIENCE)
    assert cache.get("k") is None  # by the removal; a miss at the worst


def test_a_removal_whose_loop_died_is_taken_over(
    faulty: FaultyBackend, cache: CacheManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    owe(faulty, cache, "delete", "k")
    stranded = outages_of(cache).claim(outages_of(cache).age, is_first=True)
    assert stranded is not None
    assert cache.get("k") is None
    assert "delete_many" not in faulty.faults.calls
    monkeypatch.setattr("symphra_cache._debts._ABANDONED", 0.0)
    assert cache.get("k") is None
    assert "delete_many" in faulty.faults.calls
    assert cache.set("k", "fresh") is True
    assert cache.get("k") == "fresh"


def test_threads_and_tasks_never_read_what_was_overwritten(
    faulty: FaultyBackend, cache: CacheManager
) -> None:
    """Each key has one writer, who counts; a read never sees less than was written before it."""
    keys = [f"k{number}" for number in range(6)]
    done: dict[str, int] = dict.fromkeys(keys, 0)
    stale: list[tuple[str, int, int]] = []
    seen = [0]
    over = threading.Event()

    def judge(key: str, least: int, found: int | None) -> None:
        if found is not None:
            seen[0] += 1
            if found < least:
                stale.append((key, least, found))

    def write(key: str, random: Random) -> None:
        for number in range(1, 250):
            match random.randrange(4):
                case 0:
                    cache.set_many({key: number})
                case 1:
                    cache.delete(key)
                case _:
                    cache.set(key, number)
            done[key] = number
            judge(key, number, cache.get(key))

    async def awrite(key: str, random: Random) -> None:
        for number in range(1, 250):
            match random.randrange(4):
                case 0:
                    await cache.adelete_many([key])
                case 1:
                    await cache.atouch(key, 60)
                    await cache.aset(key, number)
                case _:
                    await cache.aset(key, number)
            done[key] = number
            await asyncio.sleep(0)
            judge(key, number, await cache.aget(key))

    def read(random: Random) -> None:
        while not over.is_set():
            key = random.choice(keys)
            least = done[key]
            judge(key, least, cache.get_many([key]).get(key))

    def trouble(random: Random) -> None:
        while not over.is_set():
            faulty.faults.broken = frozenset(
                random.sample(["set", "set_many", "delete", "delete_many", "get", "clear"], 3)
            )
            faulty.faults.applied = random.random() < 0.5
            time.sleep(0.002)
            if random.random() < 0.1:
                cache.clear()
            faulty.faults.mend()
            time.sleep(0.002)

    async def tasks() -> None:
        await asyncio.gather(*[awrite(key, Random(key)) for key in keys[3:]])

    with ThreadPoolExecutor(8) as pool:
        background = [pool.submit(read, Random(1)), pool.submit(trouble, Random(2))]
        writers = [pool.submit(write, key, Random(key)) for key in keys[:3]]
        writers.append(pool.submit(asyncio.run, tasks()))
        try:
            for each in writers:
                each.result(60)
        finally:
            over.set()
        for each in background:
            each.result(PATIENCE)
    assert not stale
    assert seen[0] > 100
    faulty.faults.mend()
    cache.get("unheard of")
    assert not outages_of(cache)._ledgers
    for key in keys:
        cache.set(key, "last")
    assert all(cache.get(key) == "last" for key in keys)
