# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""One face of `CacheManager`: every operation that may do I/O."""

from __future__ import annotations

from time import perf_counter

from symphra_cache._integers import checked_delta
from symphra_cache._manager import ManagerState
from symphra_cache.types import DEFAULT, Health

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping
    from types import TracebackType
    from typing import Any, Self

    from symphra_cache.types import TTLArgument

__all__ = ["AsyncManagerOps"]


class AsyncManagerOps(ManagerState):
    """Operations on the entries of one namespace.

    Common to all: a key is a non-empty ``str`` of at most 1,024 UTF-8 bytes, else
    `InvalidKeyError`. A ``ttl`` is seconds (``int`` or ``float``), a ``timedelta``, or ``None``
    for an entry that never expires; not given, the manager's ``default_ttl`` counts; zero or
    less means already expired; anything else raises `InvalidTTLError`. An outage raises
    `BackendUnavailableError`, unless the manager was made with ``on_outage="degrade"``: then only
    ``add``, ``incr`` and ``decr`` do. Use after closing raises `CacheClosedError`.
    """

    async def aget(self, key: str, default: Any = None) -> Any:
        """Return the value under a key.

        Args:
            key: the key.
            default: what a miss returns. A stored ``None`` is a hit and returned as such; pass
                `symphra_cache.MISSING` to tell the two apart.

        Returns:
            The value, the caller's own: changing it changes nothing in the cache. ``default``
            if nothing lives under the key, or if its bytes are unreadable.

        Raises:
            InvalidKeyError: the key is wrong.
            BackendUnavailableError: an outage.
        """
        return await self._keyspace.aget(key, default)

    async def aset(self, key: str, value: Any, ttl: TTLArgument = DEFAULT) -> bool:
        """Store a value, replacing value and ttl of what was there.

        Args:
            key: the key.
            value: anything that the backend's serializer represents, ``None`` included. It is
                kept as it is now: changing it later changes nothing in the cache.
            ttl: time to live; with zero or less what was there is removed, nothing is stored.

        Returns:
            ``True``.

        Raises:
            InvalidKeyError: the key is wrong.
            InvalidTTLError: the ttl is wrong.
            SerializationError: the value can't be represented; names the part that can't.
            ValueTooLargeError: the value is larger than the backend's ``max_value_bytes``.
            BackendUnavailableError: an outage.
        """
        return await self._keyspace.aset(key, value, self._lifetime(ttl))

    async def aadd(self, key: str, value: Any, ttl: TTLArgument = DEFAULT) -> bool:
        """Store a value unless something lives under the key, in one step.

        Of any number of callers at once, in threads, tasks and processes, one succeeds.

        Args:
            key: the key.
            value: as for ``set``.
            ttl: time to live; with zero or less nothing is stored.

        Returns:
            Whether the key was absent.

        Raises:
            InvalidKeyError, InvalidTTLError, SerializationError, ValueTooLargeError: as ``set``.
            BackendUnavailableError: an outage.
        """
        return await self._keyspace.aadd(key, value, self._lifetime(ttl))

    async def apop(self, key: str, default: Any = None) -> Any:
        """Remove an entry and return its value, in one step: one caller gets it.

        Args:
            key: the key.
            default: what a miss returns.

        Returns:
            The value, or ``default`` if nothing lives under the key.

        Raises:
            InvalidKeyError: the key is wrong.
            BackendUnavailableError: an outage.
        """
        return await self._keyspace.apop(key, default)

    async def adelete(self, key: str) -> bool:
        """Remove an entry.

        Returns:
            Whether it existed.

        Raises:
            InvalidKeyError: the key is wrong.
            BackendUnavailableError: an outage.
        """
        return await self._keyspace.adelete(key)

    async def aexists(self, key: str) -> bool:
        """Tell whether something lives under a key, without using it for eviction or counts.

        Raises:
            InvalidKeyError: the key is wrong.
            BackendUnavailableError: an outage.
        """
        return await self._keyspace.aexists(key)

    async def atouch(self, key: str, ttl: TTLArgument = DEFAULT) -> bool:
        """Give an entry a new ttl.

        Args:
            key: the key.
            ttl: time to live from now on; ``None`` keeps it for ever, zero or less removes it.

        Returns:
            Whether it existed.

        Raises:
            InvalidKeyError: the key is wrong.
            InvalidTTLError: the ttl is wrong.
            BackendUnavailableError: an outage.
        """
        return await self._keyspace.atouch(key, self._lifetime(ttl))

    async def attl(self, key: str) -> float | None:
        """Return how long an entry has left.

        Returns:
            Seconds; ``None`` if it never expires; ``0.0`` if nothing lives under the key.

        Raises:
            InvalidKeyError: the key is wrong.
            BackendUnavailableError: an outage.
        """
        return await self._keyspace.attl(key)

    async def aincr(self, key: str, delta: int = 1, *, ttl: TTLArgument = DEFAULT) -> int:
        """Add to a counter, in one step.

        Args:
            key: the key.
            delta: what to add, possibly negative.
            ttl: time to live of a counter that is missing and starts at 0; an existing one
                keeps its own.

        Returns:
            The sum.

        Raises:
            InvalidKeyError: the key is wrong.
            InvalidTTLError: the ttl is wrong.
            NotAnIntegerError: the entry, or ``delta``, is no integer; nothing is changed.
            CounterOverflowError: the sum, or ``delta``, is beyond signed 64 bits; nothing is
                changed.
            BackendUnavailableError: an outage; the sum may have been stored.
        """
        return await self._keyspace.aincr(key, delta, self._lifetime(ttl))

    async def adecr(self, key: str, delta: int = 1, *, ttl: TTLArgument = DEFAULT) -> int:
        """Subtract from a counter; everything else is as with ``incr``."""
        return await self._keyspace.aincr(key, -checked_delta(delta), self._lifetime(ttl))

    async def aget_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """Return the values under many keys at once.

        Args:
            keys: any iterable of keys.

        Returns:
            The hits, in the order asked.

        Raises:
            InvalidKeyError: a key is wrong, or ``keys`` is a single ``str``.
            BackendUnavailableError: an outage.
        """
        return await self._keyspace.aget_many(keys)

    async def aset_many(self, mapping: Mapping[str, Any], ttl: TTLArgument = DEFAULT) -> list[str]:
        """Store many values at once, having checked all of them before the first.

        Args:
            mapping: values by key.
            ttl: one time to live for all; the manager's jitter spreads each by itself.

        Returns:
            The keys that failed: an empty list.

        Raises:
            InvalidKeyError, InvalidTTLError, SerializationError, ValueTooLargeError: as
                ``set``; nothing is written then.
            BackendUnavailableError: an outage; the keys not written are in its ``failed``.
        """
        given = self._given(ttl)
        return await self._keyspace.aset_many(mapping, given, jitter=self._jitter)

    async def adelete_many(self, keys: Iterable[str]) -> int:
        """Remove many entries at once.

        Returns:
            How many existed.

        Raises:
            InvalidKeyError: a key is wrong, or ``keys`` is a single ``str``.
            BackendUnavailableError: an outage; the keys not removed are in its ``failed``.
        """
        return await self._keyspace.adelete_many(keys)

    def ascan(self, pattern: str = "*") -> AsyncIterator[str]:
        r"""Iterate over the keys of this namespace that match a pattern.

        Safe while others write: every key that lives through the whole scan is seen, none
        twice; keys written or removed meanwhile may be seen or not.

        Args:
            pattern: ``*`` any run of characters, ``?`` one, ``[a-z]`` one of a set, ``[^a]``
                one outside a set, ``\`` takes the next character literally.

        Raises:
            InvalidPatternError: the pattern is not a non-empty ``str``.
            BackendUnavailableError: an outage, while iterating.
        """
        self._check_scan(pattern)
        return self._keyspace.ascan(pattern)

    async def adelete_matching(self, pattern: str) -> int:
        """Remove the entries whose keys match a pattern, one after another.

        Args:
            pattern: as for ``scan``.

        Returns:
            How many existed.

        Raises:
            InvalidPatternError: the pattern is not a non-empty ``str``.
            BackendUnavailableError: an outage; some may have been removed.
        """
        return await self._keyspace.adelete_matching(pattern)

    async def acount(self) -> int:
        """Return how many entries live in this namespace, by looking at each of them.

        Raises:
            BackendUnavailableError: an outage.
        """
        return await self._keyspace.acount()

    async def aclear(self, *, nested: bool = False) -> int:
        """Remove the entries of this namespace, one after another.

        Args:
            nested: whether to take the namespaces inside this one along.

        Returns:
            How many existed.

        Raises:
            BackendUnavailableError: an outage; some may have been removed.
        """
        return await self._keyspace.aclear(nested=nested)

    async def aping(self) -> Health:
        """Ask the backend whether it works. Never raises, closed or not."""
        started = perf_counter()
        try:
            ok, detail = True, await self._backend.aping()
        except Exception as error:  # whatever it is, it is the answer to the question asked
            ok, detail = False, str(error) or type(error).__name__
        return Health(ok, perf_counter() - started, self._backend.kind, detail)

    async def aclose(self) -> None:
        """Close the backend, for both faces and for other managers on it; idempotent.

        Calls under way finish or raise `CacheClosedError`. On a namespace view it does nothing.
        """
        if not self._is_view:
            await self._backend.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()
