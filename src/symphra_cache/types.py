"""Public types that are no errors: sentinels, what ``ping`` and ``stats`` return, aliases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeAlias, final

if TYPE_CHECKING:
    from datetime import timedelta

__all__ = ["DEFAULT", "MISSING", "TTL", "CacheStats", "Clock", "Health", "Missing"]

TTL: TypeAlias = "float | timedelta | None"
"""Seconds (``int`` or ``float``), a ``timedelta``, or ``None`` for an entry that never expires."""


@final
class Missing:
    """Type of `MISSING`: the answer that no cached value can be mistaken for."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False

    def __reduce__(self) -> str:
        return "MISSING"


@final
class _Default:
    """Type of `DEFAULT`: the ttl was not given, the manager's ``default_ttl`` counts."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "DEFAULT"

    def __reduce__(self) -> str:
        return "DEFAULT"


MISSING: Final = Missing()
"""Pass it as ``default`` to tell a miss from a stored ``None``."""

DEFAULT: Final = _Default()
"""Stands for a ttl that was not given."""

TTLArgument: TypeAlias = "TTL | _Default"


class Health(NamedTuple):
    """What ``ping`` found.

    Attributes:
        ok: whether the backend answered; also the truth value of the whole.
        latency: seconds that the answer took.
        backend: name of the backend, ``"memory"`` for example.
        detail: one line for an operator; says what is wrong when ``ok`` is false.
    """

    ok: bool
    latency: float
    backend: str
    detail: str

    def __bool__(self) -> bool:
        return self.ok


class CacheStats(NamedTuple):
    """Counts since the manager was made, of this process alone.

    A namespace view counts into the manager that it belongs to. Bulk calls count each key;
    ``exists``, ``ttl``, ``touch``, ``scan`` and ``count`` count nothing.

    Attributes:
        hits: reads (``get``, ``get_many``, ``pop``) that found a live value.
        misses: reads that found none.
        sets: values written by ``set``, ``set_many``, ``add``, ``incr`` and ``decr``.
        deletes: live entries removed by ``delete…``, ``pop`` and ``clear``.
        corrupt: reads that met unreadable bytes; each is a miss too.
        errors: calls that failed since the backend was unavailable.
        evictions: entries that the backend dropped for lack of room (all its managers).
        expirations: expired entries that the backend noticed and dropped (all its managers).
        entries: entries that the backend holds, expired ones not yet dropped included.
        bytes: what the backend occupies, in bytes.

    The last four are ``None`` where finding out would cost a scan or a round trip.
    """

    hits: int
    misses: int
    sets: int
    deletes: int
    corrupt: int
    errors: int
    evictions: int | None
    expirations: int | None
    entries: int | None
    bytes: int | None

    @property
    def hit_ratio(self) -> float:
        """Hits among all reads, from 0.0 to 1.0; 0.0 before the first read."""
        reads = self.hits + self.misses
        return self.hits / reads if reads else 0.0


class Clock(Protocol):
    """Where a backend takes its time from; `symphra_cache.testing.FakeClock` is one."""

    def monotonic_ns(self) -> int:
        """Nanoseconds that never step back; for what stays in the process."""

    def time_ns(self) -> int:
        """Nanoseconds since the epoch; for what processes share."""
