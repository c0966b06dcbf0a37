"""State of a keyspace that degrades: the keyspace of the backend, and what is known of outages."""

from __future__ import annotations

from symphra_cache._metrics import Counters
from symphra_cache._outages import READ, REMOVAL, outages_of
from symphra_cache.exceptions import BackendUnavailableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from typing import TypeAlias, TypeVar

    from symphra_cache._debts import Debt
    from symphra_cache._outages import Outages
    from symphra_cache._usage import Usage
    from symphra_cache.backends.base import Backend, Keyspace

    T = TypeVar("T")
    AsyncCall: TypeAlias = Callable[..., Awaitable[T]]
    SyncCall: TypeAlias = Callable[..., T]

__all__ = ["QUICK", "ROUNDS", "DegradingState"]

QUICK = 0.05
"""Seconds within which a refusal leaves time for another call."""

ROUNDS = 3
"""How often a write is tried while removals come in its way."""


class DegradingState:
    """One namespace of a backend, for a manager with ``on_outage="degrade"``.

    Args:
        backend: the backend.
        path: of the namespace.
        counters: of the manager.
    """

    def __init__(self, backend: Backend, path: str, counters: Counters) -> None:
        self._inner: Keyspace = backend.keyspace(path, counters)
        # Of the type: what wraps a keyspace must not be passed by.
        past_near = getattr(type(self._inner), "_past_near", None)
        self._past_near: Keyspace = self._inner if past_near is None else past_near(self._inner)
        self._outages: Outages = outages_of(backend, backend.kind)
        self._backend = backend
        self._path = path
        self._counters = counters
        self._paying: Keyspace | None = None

    def _failed(self, what: str, error: BackendUnavailableError) -> None:
        self._outages.failed(what, self._path, error)

    def _reads(self) -> Keyspace:
        """Return what reads; what is kept near would tell that the backend works again."""
        return self._past_near if self._outages.fails(READ) else self._inner

    def _worked(self, what: str) -> None:
        if self._outages.alert:
            self._outages.worked(what, self._path)

    def _owes(self, key: str) -> bool:
        return self._outages.owes(self._path, key)

    def _owes_any(self) -> bool:
        return self._outages.owes_any(self._path)

    def _remember(self, debts: Iterable[Debt]) -> None:
        if self._paying is None:  # counts for itself: what is paid is no call of the program
            self._paying = self._backend.keyspace(self._path, Counters())
        self._outages.remember(self._path, debts, self._paying)

    def _missed(self, what: str, error: BackendUnavailableError, keys: Iterable[str]) -> list[str]:
        """Take note of a call that failed; return which of its keys may be out of date now."""
        failed = error.failed or list(keys)
        self._remember(failed)
        self._failed(what, error)
        return failed

    def _removed(self, debts: Iterable[Debt], age: int) -> None:
        """Take note of a removal that was begun at this age of the outages."""
        if self._outages.alert:
            self._outages.worked(REMOVAL, self._path)
            self._outages.removed(self._path, debts, age)

    @staticmethod
    def _unsettled() -> BackendUnavailableError:
        return BackendUnavailableError(
            "what an outage left under the key is still being removed; try again"
        )

    def usage(self) -> Usage:
        """Return how full the whole backend is."""
        return self._inner.usage()
