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
  before it is closed; see ``_circles.py``.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from weakref import WeakKeyDictionary

from symphra_cache._callers import NOBODY, blocked
from symphra_cache._circles import may_wait, needs, recursive
from symphra_cache._forks import fork_aware
from symphra_cache._isolation import frozen
from symphra_cache._turns import Turn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from typing import Any, TypeAlias

    from symphra_cache._callers import Caller

    Name: TypeAlias = "tuple[str, str]"
    # One key, or several of which `in` can be asked.
    Keys: TypeAlias = "str | Collection[str]"
    Kept: TypeAlias = "tuple[object, Callable[[Any], object] | None]"

__all__ = ["Flight", "Flights", "Sweep", "flights_of"]


class Flight:
    """One load of one key. Changed under the registry's turn alone.

    Args:
        name: of the key, with its namespace's path.
        leader: who loads; nobody when it is over.
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
        turn: of a store that voids loads in turns of its own. One for both: a finalizer that
            writes to the store may run in the middle of either's.
        isolate: how a value is kept for who waits, and what each gets of it.

    Attributes:
        ended: how many nobody can join any more; who misses a key and then finds it not being
            loaded must look once more if there are more since.
        live: those under way, by name; empty is the common case.
        writing: writes under way, each under an object of its own. One that begins puts itself
            here before it looks at ``live``; one that ends takes itself away before it looks again.
    """

    def __init__(
        self, turn: Turn | None = None, isolate: Callable[[object], Kept] = frozen
    ) -> None:
        self.ended: int = 0
        self.isolate: Callable[[object], Kept] = isolate
        self.live: dict[Name, list[Flight]] = {}
        self._joinable: dict[Name, Flight] = {}
        self.writing: dict[object, tuple[str, Keys]] = {}
        self._sweeps: list[Sweep] = []
        self._of_store = turn
        self._turn = turn or Turn()
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
            others = self.live.setdefault(name, [])
            # A write may have let nobody join it.
            if not alone and any(one in caller.inside for one in others):
                raise recursive(name)
            flight = None if alone else self._joinable.get(name)
            # A finalizer that runs in the middle of a step of ours must not wait there.
            if flight is not None and not self._turn.is_nested and self._waits(flight, caller):
                return flight
            own = Flight(name, caller, is_void=False)
            others.append(own)
            self.live[name] = others  # which a generator may just have left empty; see `_swept`
            # From here on writes that begin see it. This sees those that have begun before.
            own.is_void = self._is_being_written(name)
            if flight is None and not alone:
                self._joinable[name] = own
            return own

    def _waits(self, flight: Flight, caller: Caller) -> bool:
        """Have a caller wait, if he may."""
        flight.waiting.append(caller)
        for outer in caller.inside:
            outer.waits_for.append(flight)
        waits = False
        try:
            # Noted before: of two who close a circle at once, with loads of two backends in it,
            # at least one sees the other.
            waits = may_wait(flight, caller)
        finally:
            if not waits:
                self._waits_no_more(flight, caller)
        return waits

    @staticmethod
    def _waits_no_more(flight: Flight, caller: Caller) -> None:
        flight.waiting.remove(caller)
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
        # Tasks that its loader has started know it for as long as they live, and they start others.
        flight.leader = NOBODY
        told = [*flight.waiting, *flight.writers]
        for one in tuple(flight.waiting):
            self._waits_no_more(flight, one)
        flight.writers.clear()
        others = self.live.get(flight.name, [])
        if flight in others:  # else this is a forked child
            others.remove(flight)
            if not others:
                self.live.pop(flight.name, None)
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
                    self._waits_no_more(flight, caller)
                return
            heir = next((one for one in flight.waiting if one.waits_for is flight), None)
            if heir is None:  # nobody, or each is busy with other keys of his
                told = self._ended(flight)
            else:
                self._waits_no_more(flight, heir)
                flight.leader = heir
                told = [*self._storing_no_more(flight), heir]
        for one in told:
            one.wake()

    @staticmethod
    def _storing_no_more(flight: Flight) -> list[Caller]:
        # Nobody knows whether it was stored, and writers go on.
        flight.is_void |= flight.is_storing
        flight.is_storing = False
        told = [*flight.writers]
        flight.writers.clear()
        return told

    def abandon(self, names: Iterable[Name], caller: Caller) -> None:
        """Have a caller leave all that he leads or waits for under some keys.

        By their names: he may have been interrupted while he joined them.
        """
        for name in names:
            for flight in tuple(self.live.get(name, ())):
                self.leave(flight, caller)

    def hand_over(self, flight: Flight, caller: Caller) -> None:
        """Have somebody else lead a flight that nobody waits for."""
        with self._turn:
            flight.leader = caller

    def may_wait_on(self, flight: Flight, caller: Caller) -> bool:
        """Tell whether who waits may go on waiting; if who leads can't go on, he leads himself.

        Not if it was passed on to a loop that stands still for as long as he waits.
        """
        told: list[Caller] = []
        with self._turn:
            if caller not in flight.waiting:
                return True
            if flight.leader.is_lost:
                self._waits_no_more(flight, caller)
                told = self._storing_no_more(flight)
                flight.leader = caller
            elif not may_wait(flight, caller):
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

    def _is_being_written(self, name: Name) -> bool:
        path, key = name
        # A copy, made in one step: writes come and go without a turn.
        for where, keys in tuple(self.writing.values()):
            if where == path and (keys == key if isinstance(keys, str) else key in keys):
                return True
        return any(one.concerns(name) for one in self._sweeps)

    def void(self, path: str, keys: Keys) -> list[Flight]:
        """Have no load undo a write of these keys; return loads to pass to `waits_for_store`."""
        storing: list[Flight] = []
        with self._turn:
            for key in (keys,) if isinstance(keys, str) else keys:
                if (path, key) in self.live:
                    storing += self._voided((path, key))
        return storing

    def loaded_instead(self, write: object, name: Name, caller: Caller) -> Flight:
        """End the write of a key by a load of it, which the caller leads."""
        with self._turn:  # so that nobody else's load comes in between
            self.writing.pop(write, None)
            self._voided(name)
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

    def _voided(self, name: Name) -> list[Flight]:
        """Let nobody join the flights of a key; return those that are being stored."""
        if self._joinable.pop(name, None) is not None:
            self.ended += 1
        flights = tuple(self.live.get(name, ()))
        for flight in flights:
            flight.is_void |= not flight.is_storing
        return [flight for flight in flights if flight.is_storing]

    def waits_for_store(self, flight: Flight, writer: Caller) -> bool:
        """Tell whether a writer has to wait for a load; it wakes him when it is stored."""
        with self._turn:
            if not flight.is_storing or flight.leader.is_lost:
                return False
            if needs(flight, writer) or self._turn.is_nested:
                flight.is_void = True  # who stores it will remove it
                return False
            flight.writers.append(writer)
            writer.waits_for = flight
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
        self.writing.clear()
        self._sweeps.clear()
        blocked.clear()
        self._turn = self._of_store or Turn()


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
