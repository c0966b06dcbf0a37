"""Threads and tasks that use one cache while its servers fail, and check each answer at once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from lives import Tally
from registers import number_in, value_of
from symphra_cache import BackendUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator
    from concurrent.futures import Future

    from lives import Lives
    from symphra_cache import CacheManager

    Request = tuple[str, Any, list[str]]  # a method, its argument, the keys that it is about
    Work = Generator[Request, Any, None]

SIZE = 3
AT_ONCE = 3  # workers whose registers one bulk read is about
BREATH = 0.005  # seconds to wait after a failure, as no program does nothing but fail
FACES = ("blocking", "asyncio")


class Outcome(NamedTuple):
    """One call: when it began and ended, by the monotonic clock, its keys, and which failed."""

    began: float
    ended: float
    face: str
    keys: frozenset[str]
    failed: frozenset[str]

    @property
    def seconds(self) -> float:
        return self.ended - self.began


class Load:
    """Workers, each the only writer of two registers and a counter, and a reader of all.

    A call may fail with `BackendUnavailableError`; anything else, and any wrong answer, is raised
    when the load ends.

    Args:
        cache: what they use.
        lives_of: which server's lives a key belongs to.
        threads: how many of them use the blocking face.
        tasks: how many use the other, on one loop.
    """

    def __init__(
        self,
        cache: CacheManager,
        lives_of: Callable[[str], Lives],
        *,
        threads: int = 4,
        tasks: int = 24,
    ) -> None:
        self.cache, self._lives_of = cache, lives_of
        self._threads, self._tasks = range(threads), range(threads, threads + tasks)
        self._workers = range(threads + tasks)
        self._over = False
        self._pool = ThreadPoolExecutor(threads + 1)
        self._running: list[Future[None]] = []
        self.outcomes: list[Outcome] = []
        self.errors: deque[str] = deque(maxlen=10)  # the last of them

    @staticmethod
    def registers_of(threads: int = 4, tasks: int = 24) -> int:
        """Return how many registers so many workers use."""
        return 2 * (threads + tasks)

    @property
    def keys(self) -> list[str]:
        """All keys that they use."""
        registers = [key_of(register) for who in self._workers for register in pair_of(who)]
        return registers + [counter_of(who) for who in self._workers]

    def __enter__(self) -> Self:
        self._running = [self._pool.submit(self._thread, who) for who in self._threads]
        self._running.append(self._pool.submit(lambda: asyncio.run(self._loop())))
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._pool.shutdown()
        for worker in self._running:
            worker.result()

    def run(self, seconds: float) -> None:
        """Let them go on for so long, or until one has failed."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.check()
            time.sleep(min(left, 0.05))

    def check(self) -> None:
        """Raise what a worker has failed with, if one has."""
        for worker in self._running:
            if worker.done():
                worker.result()

    def wait_for_success(
        self, since: float, seconds: float, about: Collection[str] | None = None
    ) -> dict[str, float]:
        """Wait until both faces have made a call that began after a moment.

        Args:
            since: the moment, by the monotonic clock.
            seconds: fail after so long.
            about: the keys of which it must have been about one, any by default.

        Returns:
            By face, when the first such call had succeeded.
        """
        end = time.monotonic() + seconds
        while len(found := self._recovered(since, about)) < len(FACES):
            assert time.monotonic() < end, f"no success within {seconds} s"
            self.run(0.02)
        return found

    def _recovered(self, since: float, about: Collection[str] | None) -> dict[str, float]:
        found: dict[str, float] = {}
        for outcome in reversed(list(self.outcomes)):
            if outcome.ended < since:
                break
            wanted = about is None or not outcome.keys.isdisjoint(about)
            if outcome.began > since and wanted and not outcome.failed:
                found[outcome.face] = outcome.ended
        return found

    def failures(self) -> list[Outcome]:
        """Return the calls that failed so far, or in part."""
        return [outcome for outcome in list(self.outcomes) if outcome.failed]

    # --- driving ----------------------------------------------------------------------

    def _thread(self, who: int) -> None:
        work = self._work(who)
        name, argument, keys = next(work)
        while not self._over:
            began = time.monotonic()
            try:
                answer = getattr(self.cache, name)(*argument)
            except BackendUnavailableError as error:
                answer = error
            name, argument, keys = self._noted(work, FACES[0], began, keys, answer)
            if isinstance(answer, BackendUnavailableError):
                time.sleep(BREATH)

    async def _task(self, who: int) -> None:
        work = self._work(who)
        name, argument, keys = next(work)
        while not self._over:
            began = time.monotonic()
            try:
                answer = await getattr(self.cache, f"a{name}")(*argument)
            except BackendUnavailableError as error:
                answer = error
            name, argument, keys = self._noted(work, FACES[1], began, keys, answer)
            if isinstance(answer, BackendUnavailableError):
                await asyncio.sleep(BREATH)

    async def _loop(self) -> None:
        await asyncio.gather(*(self._task(who) for who in self._tasks))

    def _noted(
        self, work: Work, face: str, began: float, keys: list[str], answer: object
    ) -> Request:
        """Note a call and have its answer checked; return what is next."""
        failed: list[str] = []
        if isinstance(answer, BackendUnavailableError):
            self.errors.append(str(answer))
            failed = answer.failed or keys
            assert set(failed) <= set(keys)
        outcome = Outcome(began, time.monotonic(), face, frozenset(keys), frozenset(failed))
        self.outcomes.append(outcome)
        return work.send(answer)

    # --- work -------------------------------------------------------------------------

    def _work(self, who: int) -> Work:
        rng, key = Random(who), counter_of(who)
        tally, own = Tally(self._lives_of(key)), pair_of(who)
        while True:
            yield from self._set(own[0])
            yield from self._get(rng.choice(pair_of(rng.choice(self._workers))))
            yield from self._set_many(own)
            others = rng.sample(self._workers, AT_ONCE)
            yield from self._get_many([register for who in others for register in pair_of(who)])
            yield from self._incr(key, tally)

    def _set(self, register: int) -> Work:
        key = key_of(register)
        lives = self._lives_of(key)
        life, number = lives.begin(register)
        answer = yield "set", (key, value_of(register, number, SIZE)), [key]
        lives.end(life, register, number, acknowledged=answer is True)

    def _set_many(self, registers: list[int]) -> Work:
        keys = [key_of(register) for register in registers]
        lives = [self._lives_of(key) for key in keys]
        begun = [each.begin(register) for each, register in zip(lives, registers, strict=True)]
        values = {
            key: value_of(register, number, SIZE)
            for key, register, (_, number) in zip(keys, registers, begun, strict=True)
        }
        answer = yield "set_many", (values,), keys
        failed = answer if isinstance(answer, list) else answer.failed
        for each, register, (life, number) in zip(lives, registers, begun, strict=True):
            each.end(life, register, number, acknowledged=key_of(register) not in failed)

    def _get(self, register: int) -> Work:
        key = key_of(register)
        lives = self._lives_of(key)
        life = lives.now
        floor = life.board.floor(register)
        answer = yield "get", (key,), [key]
        if not isinstance(answer, BackendUnavailableError):
            lives.check(life, register, floor, number_in(register, answer, SIZE))

    def _get_many(self, registers: list[int]) -> Work:
        keys = [key_of(register) for register in registers]
        lives = [self._lives_of(key) for key in keys]
        begun = [
            (life := each.now, life.board.floor(register))
            for each, register in zip(lives, registers, strict=True)
        ]
        answer = yield "get_many", (keys,), keys
        if isinstance(answer, BackendUnavailableError):
            return
        assert answer.keys() <= set(keys)
        for each, register, (life, floor) in zip(lives, registers, begun, strict=True):
            number = number_in(register, answer.get(key_of(register)), SIZE)
            each.check(life, register, floor, number)

    def _incr(self, key: str, tally: Tally) -> Work:
        life = tally.begin()
        answer = yield "incr", (key,), [key]
        tally.end(life, answer if isinstance(answer, int) else None)


def pair_of(who: int) -> list[int]:
    """Return the registers of a worker."""
    return [2 * who, 2 * who + 1]


def key_of(register: int) -> str:
    """Return the key of a register: those of one worker share a slot of a cluster."""
    return f"{{{register // 2}}}r{register}"


def counter_of(who: int) -> str:
    """Return the key of a worker's counter."""
    return f"c{who}"


def longest(outcomes: list[Outcome]) -> float:
    """Return how many seconds the longest of some calls took."""
    return max((outcome.seconds for outcome in outcomes), default=0.0)


def threads_left() -> list[str]:
    """Return the names of threads of a load that is over."""
    return [each.name for each in threading.enumerate() if "ThreadPool" in each.name]
