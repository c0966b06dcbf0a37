"""Single flight: who wants a key that is being loaded waits for that load and shares its outcome.

No I/O and no waiting here: who waits for whom, who loads, and whose value may be stored. How
threads and tasks wait is in ``_callers.py``, what they do in ``_async/loads.py``.

- A `Flight` is one load of one key, from when its leader was told to load until all who wait
  know its outcome. While it is joinable, others who miss the key join it.
- *Newer wins*: a write of the key voids it. Its value is then never stored, and who comes after
  the write starts another. One that begins while a write is under way is void from the beginning,
  for nobody knows which of the two sees the other. One that is being stored has the writer wait:
  what is stored is replaced a moment later.
- A leader who is cancelled passes the flight on to the next who waits. One who can't go on, since
  his event loop was closed or stands still, is replaced by whoever notices.
- What a caller waits for is noted with the loads that he runs inside of. So a circle is found
  before it is closed.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from weakref import WeakKeyDictionary

from symphra_cache._forks import fork_aware
from symphra_cache._isolation import frozen
from symphra_cache._turns import Turn
from symphra_cache.exceptions import RecursiveLoadError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, TypeAlias

    from symphra_cache._callers import Caller

    Name: TypeAlias = "tuple[str, str]"
    Kept: TypeAlias = "tuple[object, Callable[[Any], object] | None]"

__all__ = ["Flight", "Flights", "Sweep", "flights_of"]


class Flight:
    """One load of one key. Changed under the registry's turn alone.

    Args:
        name: of the key, with its namespace's path.
        leader: who loads.
        is_void: whether a write of the key is under way.

    Attributes:
        is_storing: whether its value is on its way to the backend.
        is_over: whether the outcome is known.
        outcome: what of the value is kept for who waits, and how each makes his own of it; see
            `symphra_cache._isolation.frozen`. ``None`` if there is none.
        error: what the loader raised.
        waiting: who shares the outcome, first come, first.
        writers: who wait until it is stored.
        waits_for: flights that somebody inside of this one waits for.
    """

    __slots__ = (
        *("error", "is_over", "is_storing", "is_void", "leader", "name", "outcome"),
        *("waiting", "waits_for", "writers"),
    )

    def __init__(self, name: Name, leader: Caller, is_void: bool) -> None:
        self.name: Name = name
        self.leader: Caller = leader
        self.is_void: bool = is_void
        self.is_storing: bool = False
        self.is_over: bool = False
        self.outcome: Kept | None = None
        self.error: Exception | None = None
        self.waiting: deque[Caller] = deque()
        self.writers: list[Caller] = []
        self.waits_for: list[Flight] = []

    @property
    def has_outcome(self) -> bool:
        """Whether there is something for who has waited."""
        return self.outcome is not None or self.error is not None


class Sweep:
    """A removal of many keys that are not named.

    Args:
        path: of the namespace.
        matches: tells whether a key is meant; ``None``: all are.
        nested: whether the namespaces inside it are meant, too.
    """

    __slots__ = ("_inside", "_matches", "_path")

    def __init__(
        self, path: str, matches: Callable[[str], object] | None = None, *, nested: bool = False
    ) -> None:
        self._path = path
        self._matches = matches
        self._inside = f"{path}/" if nested else None

    def concerns(self, name: Name) -> bool:
        """Tell whether it removes a key."""
        path, key = name
        if path == self._path:
            return self._matches is None or bool(self._matches(key))
        return self._inside is not None and path.startswith(self._inside)


class Flights:
    """The loads under way on one backend, of all its managers, threads and loops.

    Args:
        isolate: makes what is kept of a value for who waits; see `symphra_cache._isolation`.

    Attributes:
        isolate: that.
        ended: how many there were; who misses a key and then finds it not being loaded must look
            once more if one has ended since.
        live: those under way, by name; empty is the common case.
    """

    def __init__(self, isolate: Callable[[Any], Kept] = frozen) -> None:
        self.isolate: Callable[[Any], Kept] = isolate
        self.ended: int = 0
        self.live: dict[Name, list[Flight]] = {}
        self._joinable: dict[Name, Flight] = {}
        self._writing: dict[Name, int] = {}
        self._sweeps: list[Sweep] = []
        self._turn = Turn()
        fork_aware(self)

    # --- loads ------------------------------------------------------------------------

    def join(self, name: Name, caller: Caller, *, alone: bool = False) -> Flight:
        """Return the flight of a key: the caller leads it, or waits for it.

        Args:
            name: of the key.
            caller: who wants it.
            alone: whether he leads one that nobody else may join.

        Raises:
            RecursiveLoadError: he would wait for himself.
        """
        with self._turn:
            flight = None if alone else self._joinable.get(name)
            if flight is not None and self._may_wait(flight, caller):
                self._wait(flight, caller)
                return flight
            is_void = name in self._writing or any(one.concerns(name) for one in self._sweeps)
            own = Flight(name, caller, is_void)
            self.live.setdefault(name, []).append(own)
            if flight is None and not alone:
                self._joinable[name] = own
            return own

    def _may_wait(self, flight: Flight, caller: Caller) -> bool:
        """Tell whether a caller may wait; not if the loop that leads runs on his own thread.

        Raises:
            RecursiveLoadError: what he waits for waits for him.
        """
        seen, due, may_wait = {flight}, [flight], True
        while due:
            one = due.pop()
            if one in caller.inside:
                raise RecursiveLoadError(
                    f"the load of {flight.name[1]!r} in namespace {flight.name[0]!r} would wait "
                    "for itself; a loader must not ask for the key that it loads, directly or by "
                    "way of another load: call the function behind it instead"
                )
            if caller.blocks(one.leader):
                may_wait = False
            due += [other for other in one.waits_for if other not in seen]
            seen.update(one.waits_for)
        return may_wait

    @staticmethod
    def _wait(flight: Flight, caller: Caller) -> None:
        flight.waiting.append(caller)
        for outer in caller.inside:
            outer.waits_for.append(flight)

    @staticmethod
    def _waits_no_more(flight: Flight, caller: Caller) -> None:
        for outer in caller.inside:
            outer.waits_for.remove(flight)

    def end(
        self, flight: Flight, caller: Caller, outcome: Kept | None, error: Exception | None = None
    ) -> bool:
        """Tell all who wait how a load has ended, if the caller still leads it.

        Returns:
            ``False`` if nothing was told, for somebody waits and neither outcome nor error was
            given. To make an outcome costs something.
        """
        with self._turn:
            if flight.leader is not caller or flight.is_over:
                return True
            if flight.waiting and outcome is None and error is None:
                return False
            if flight.waiting:  # else an error and the frames that it holds would be a circle
                flight.outcome, flight.error = outcome, error
            told = self._ended(flight)
        for one in told:
            one.wake()
        return True

    def _ended(self, flight: Flight) -> list[Caller]:
        flight.is_over, flight.is_storing = True, False
        for one in flight.waiting:
            self._waits_no_more(flight, one)
        told = [*flight.waiting, *flight.writers]
        flight.waiting.clear()
        flight.writers.clear()
        others = self.live.get(flight.name, [])
        if flight in others:  # else this is a forked child
            others.remove(flight)
            if not others:
                del self.live[flight.name]
        if self._joinable.get(flight.name) is flight:
            del self._joinable[flight.name]
        self.ended += 1
        return told

    def leave(self, flight: Flight, caller: Caller) -> None:
        """Have a caller neither lead nor wait any more; who leads passes it on to the next."""
        with self._turn:
            if flight.is_over:
                return
            if flight.leader is not caller:
                if caller in flight.waiting:
                    flight.waiting.remove(caller)
                    self._waits_no_more(flight, caller)
                return
            if not flight.waiting:
                told = self._ended(flight)
            else:
                told = [*self._storing_no_more(flight), *self._led_by_next(flight)]
        for one in told:
            one.wake()

    def _led_by_next(self, flight: Flight) -> list[Caller]:
        for one in flight.waiting:
            if not one.is_busy:
                self._lead_instead(flight, one)
                return [one]
        return self._ended(flight)  # each of them will load it when he comes to it

    def _lead_instead(self, flight: Flight, caller: Caller) -> None:
        flight.waiting.remove(caller)
        self._waits_no_more(flight, caller)
        flight.leader = caller

    @staticmethod
    def _storing_no_more(flight: Flight) -> list[Caller]:
        # Nobody knows whether it was stored, and writers go on.
        flight.is_void |= flight.is_storing
        flight.is_storing = False
        told = [*flight.writers]
        flight.writers.clear()
        return told

    def hand_over(self, flight: Flight, caller: Caller) -> None:
        """Have somebody else lead a flight that nobody waits for."""
        with self._turn:
            flight.leader = caller

    def lead(self, caller: Caller, flights: Mapping[str, Flight]) -> dict[str, Flight]:
        """Return those of many flights that a caller leads; while there are some he is busy.

        No other is passed on to him then: it would stand still until he is done, and what he
        runs might wait for it.
        """
        with self._turn:
            led = {key: one for key, one in flights.items() if one.leader is caller}
            caller.is_busy = bool(led)
            return led

    def may_wait_on(self, flight: Flight, caller: Caller) -> bool:
        """Tell whether who waits may go on waiting; if who leads can't go on, he leads.

        Not if it was passed on to a loop that stands still for as long as he waits.
        """
        told: list[Caller] = []
        with self._turn:
            if caller in flight.waiting:
                if flight.leader.is_lost:
                    told = self._storing_no_more(flight)
                    self._lead_instead(flight, caller)
                elif not self._may_wait(flight, caller):
                    flight.waiting.remove(caller)
                    self._waits_no_more(flight, caller)
                    return False
        for one in told:
            one.wake()
        return True

    def may_store(self, flight: Flight, caller: Caller) -> bool:
        """Tell whether a value may be stored; if so, writers of the key wait until `end`."""
        with self._turn:
            flight.is_storing = flight.leader is caller and not flight.is_void
            return flight.is_storing

    # --- writes -----------------------------------------------------------------------

    def begin_write(self, names: Iterable[Name]) -> list[Flight]:
        """Note that keys are about to be written; return loads to pass to `waits_for_store`."""
        writing, live = self._writing, self.live
        storing: list[Flight] = []
        with self._turn:
            for name in names:
                writing[name] = writing.get(name, 0) + 1
                if name in live:
                    storing += self._voided(name)
        return storing

    def end_write(self, names: Iterable[Name]) -> None:
        """Note that keys have been written, or not."""
        writing, live = self._writing, self.live
        with self._turn:
            for name in names:
                # None of them is there any more in a child that was forked meanwhile.
                if (others := writing.pop(name, 1) - 1) > 0:
                    writing[name] = others
                if name in live:
                    self._voided(name)

    def loaded_instead(self, name: Name, caller: Caller) -> Flight:
        """End the write of a key by a load of it, which the caller leads."""
        with self._turn:  # so that nobody else's load comes in between
            self.end_write([name])
            return self.join(name, caller)

    def begin_sweep(self, sweep: Sweep) -> list[Flight]:
        """Note that keys are about to be removed; return loads to pass to `waits_for_store`."""
        with self._turn:
            self._sweeps.append(sweep)
            return self._swept(sweep)

    def end_sweep(self, sweep: Sweep) -> None:
        """Note that a removal is over."""
        with self._turn:
            with suppress(ValueError):  # in a child that was forked meanwhile
                self._sweeps.remove(sweep)
            self._swept(sweep)

    def _swept(self, sweep: Sweep) -> list[Flight]:
        # A copy: the garbage collector may end a generator, and so a flight, in between.
        concerned = [name for name in list(self.live) if sweep.concerns(name)]
        return [flight for name in concerned for flight in self._voided(name)]

    def void(self, name: Name) -> None:
        """Note that a key is being written, where a write and the storing of a load are steps."""
        with self._turn:
            self._voided(name)

    def _voided(self, name: Name) -> list[Flight]:
        """Let nobody join the flights of a key; return those that are being stored."""
        self._joinable.pop(name, None)
        flights = tuple(self.live.get(name, ()))
        for flight in flights:
            flight.is_void |= not flight.is_storing
        return [flight for flight in flights if flight.is_storing]

    def waits_for_store(self, flight: Flight, writer: Caller) -> bool:
        """Tell whether a writer has to wait for a load; it wakes him when it is stored."""
        with self._turn:
            if not flight.is_storing or flight.leader.is_lost:
                return False
            if writer.loop is None and writer.thread == flight.leader.thread:
                # By a task of his loop, or below him on the stack. Who stores it will remove it.
                flight.is_void = True
                return False
            flight.writers.append(writer)
            return True

    # --- forks ------------------------------------------------------------------------

    def before_fork(self) -> None:
        """Do nothing: to wait here for a turn might be to wait for who waits for a store's."""

    def after_fork_in_parent(self) -> None:
        """Do nothing."""

    def after_fork_in_child(self) -> None:
        """Forget all: who waits, and who leads, has stayed with the parent.

        But for who forked in the middle of a load, or of a generator; what comes of that is not
        stored, for from now on nobody would void it.
        """
        for flights in self.live.values():
            for flight in flights:
                flight.is_void = True
                flight.waiting.clear()
                flight.writers.clear()
        self.live.clear()
        self._joinable.clear()
        self._writing.clear()
        self._sweeps.clear()
        self._turn = Turn()


_of: WeakKeyDictionary[Any, Flights] = WeakKeyDictionary()


def flights_of(backend: Any) -> Flights:
    """Return the loads of a backend, which all of its managers share."""
    own = getattr(backend, "flights", None)
    if isinstance(own, Flights):
        return own
    try:
        found = _of.get(backend)
        return found if found is not None else _of.setdefault(backend, Flights())
    except TypeError:  # one of a program's own, of which no weak reference can be made
        return Flights()
