"""Threads and tasks that read what a foreign process writes, through one object with a near cache.

Each read is checked at once: by how much it was late, and that nobody was served from memory when
nobody may be.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from near_board import TRUSTED, NearBoard, number_of
from near_links import near_of
from redis_load import BREATH, key_of
from symphra_cache import BackendUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    from redis_servers import RedisServer
    from symphra_cache import CacheManager
    from symphra_cache.backends import RedisBackend

REGISTERS = 16
HERE = Path(__file__).parent
LINKED = "linked"
LATE = 0.5  # seconds; while a link lives, a read on a busy machine is hardly ever as late
PATIENCE = 20
PAUSE = 0.002  # after each round of a reader: others want to run, too


class Seen:
    """What was read in one phase.

    Attributes:
        reads: how many succeeded.
        late: how many of them were late by more than `LATE`.
        worst: by how many seconds the latest of them was late.
    """

    def __init__(self) -> None:
        self.reads = self.late = 0
        self.worst = 0.0

    def add(self, reads: int, late: int, worst: float) -> None:
        """Count more of them."""
        self.reads += reads
        self.late += late
        self.worst = max(self.worst, worst)


class NearLoad:
    """Readers of all registers; a read may fail with `BackendUnavailableError`, nothing else.

    Args:
        cache: what they use.
        board: what is known of the registers.
        threads: how many of them use the blocking face.
        tasks: how many use the other, on one loop.

    Attributes:
        phase: to which reads are counted that begin now.
        silent_from: reads that begin later must fail, for no server answers.
        errors: what the last reads that failed have said.
    """

    def __init__(
        self, cache: CacheManager, board: NearBoard, *, threads: int = 2, tasks: int = 4
    ) -> None:
        self.cache, self.board = cache, board
        self.phase = LINKED
        self.silent_from = inf
        self.errors: deque[str] = deque(maxlen=10)
        self._tables: list[dict[str, Seen]] = [{} for _ in range(threads + tasks)]
        self._threads, self._tasks = range(threads), range(threads, threads + tasks)
        self._over = False
        self._pool = ThreadPoolExecutor(threads + 1)
        self._running: list[Future[None]] = []

    def __enter__(self) -> Self:
        self._running = [self._pool.submit(self._thread, who) for who in self._threads]
        self._running.append(self._pool.submit(lambda: asyncio.run(self._loop())))
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._pool.shutdown()
        for worker in self._running:
            worker.result()

    @property
    def seen(self) -> dict[str, Seen]:
        """What was read so far, by phase."""
        found: dict[str, Seen] = {}
        for table in self._tables:
            for phase, seen in list(table.items()):
                found.setdefault(phase, Seen()).add(seen.reads, seen.late, seen.worst)
        return found

    @property
    def reads(self) -> int:
        """How many reads have succeeded so far."""
        return sum(seen.reads for seen in self.seen.values())

    def run(self, seconds: float) -> None:
        """Let them go on for so long, or until one has failed."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.check()
            time.sleep(min(left, 0.05))

    def wait(self, condition: Callable[[], object], seconds: float = PATIENCE) -> None:
        """Let them go on until a condition holds; fail if that takes too long."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "not in time"
            self.run(0.005)

    def check(self) -> None:
        """Raise what a worker has failed with, if one has."""
        for worker in self._running:
            if worker.done():
                worker.result()

    # --- driving ----------------------------------------------------------------------

    def _thread(self, who: int) -> None:
        while not self._over:
            for register in self.board.registers:
                began, phase = time.monotonic(), self.phase
                try:
                    value = self.cache.get(key_of(register))
                except BackendUnavailableError as error:
                    self.errors.append(str(error))
                    time.sleep(BREATH)
                else:
                    self._note(who, phase, register, began, value)
            time.sleep(PAUSE)

    async def _task(self, who: int) -> None:
        while not self._over:
            for register in self.board.registers:
                began, phase = time.monotonic(), self.phase
                try:
                    value = await self.cache.aget(key_of(register))
                except BackendUnavailableError as error:
                    self.errors.append(str(error))
                    await asyncio.sleep(BREATH)
                else:
                    self._note(who, phase, register, began, value)
            await asyncio.sleep(PAUSE)

    async def _loop(self) -> None:
        await asyncio.gather(*(self._task(who) for who in self._tasks))

    def _note(self, who: int, phase: str, register: int, began: float, value: Any) -> None:
        number = number_of(register, value)
        late = self.board.lateness(register, began, number)
        told = f"register {register}, {phase}: {number} was read "
        assert late < TRUSTED, f"{told}{late:.3f} s after a newer one had been acknowledged"
        beyond = began - self.silent_from
        assert beyond < 0, f"{told}{beyond:.3f} s after nothing may be served any more"
        table = self._tables[who]
        seen = table.get(phase) or table.setdefault(phase, Seen())
        seen.add(1, late > LATE, late)


def links_of(backend: RedisBackend) -> dict[Any, Any]:
    """Return the epochs of the links, by the address of their servers."""
    links = near_of(backend)._tracking._links
    return {address: link.epoch for address, link in list(links.items())}


def wait_relinked(backend: RedisBackend, load: NearLoad, since: dict[Any, Any]) -> float:
    """Wait until links that broke are there again; return how many seconds that took.

    Args:
        backend: whose links.
        load: goes on meanwhile.
        since: what `links_of` gave before.
    """
    began = time.monotonic()

    def is_new() -> bool:
        return all(
            address not in since or (epoch is not since[address] and epoch.until > time.monotonic())
            for address, epoch in links_of(backend).items()
        )

    load.wait(is_new)
    return time.monotonic() - began


def share_of_hits(load: NearLoad, servers: Sequence[RedisServer], seconds: float) -> float:
    """Return which share of reads no server was asked for.

    Args:
        load: reads so long.
        servers: all that may be asked.
        seconds: how long to look.
    """

    def asked() -> int:
        return sum(server.calls(name) for server in servers for name in ("get", "getrange"))

    cold, reads = asked(), load.reads
    load.run(seconds)
    cold, reads = asked() - cold, load.reads - reads
    assert cold, "nobody was asked for what is written all the time"
    return 1 - cold / reads


@contextmanager
def running(program: str, url: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run one of the programs beside this file, which is told to end by whoever uses it."""
    command = [sys.executable, str(HERE / program), url, str(path), str(REGISTERS)]
    # The tests' own modules are found there.
    paths = os.pathsep.join((str(HERE), str(HERE.parent)))
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    )
    try:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise AssertionError(process.communicate()[1])
        yield process
    finally:
        process.kill()
        process.communicate()


def end(process: subprocess.Popen[str]) -> str:
    """End a program in good order; return what it has said."""
    said, complaint = process.communicate("", timeout=PATIENCE)
    assert process.returncode == 0, complaint
    return said


@contextmanager
def foreign_writer(url: str, path: Path) -> Iterator[NearBoard]:
    """Run a process that writes the registers all the time; yield what is known of them."""
    board = NearBoard(path, REGISTERS)
    with running("near_writer.py", url, path) as process:
        yield board
        assert process.poll() is None, process.communicate()[1]
        end(process)


def has_written(board: NearBoard) -> Callable[[], bool]:
    """Return what tells whether every register was written anew since now."""
    before = list(board.begun)
    return lambda: all(now > then for now, then in zip(board.begun, before, strict=True))


def clients_of(server: RedisServer) -> list[dict[str, str]]:
    """Return what a server says of its connections; those of links have ``B`` in their flags."""
    told = server.command("CLIENT LIST")
    if isinstance(told, bytes):  # redis-py reads it, too, as it reads that of an old server
        told = [
            dict(field.split("=", 1) for field in line.split())
            for line in told.decode().splitlines()
        ]
    return list(told)
