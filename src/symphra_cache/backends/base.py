"""What a backend has to offer. Those of this library do, and so must one's own.

A `Backend` is itself the `Keyspace` whose namespace path is empty, so it can be used alone; a
manager asks it for the keyspace of its own namespace. Every method but the last few exists
twice, under its name (blocking) and with an ``a`` in front (asyncio), with the same meaning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from symphra_cache._usage import Usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Mapping

    from symphra_cache._metrics import Counters
    from symphra_cache.types import TTL

__all__ = ["Backend", "Keyspace", "Usage"]


class _BlockingKeyspace(Protocol):
    """The blocking methods; `Keyspace` explains them."""

    def get(self, key: str, default: Any = None) -> Any: ...
    def set(self, key: str, value: Any, ttl: TTL = None) -> bool: ...
    def add(self, key: str, value: Any, ttl: TTL = None) -> bool: ...
    def pop(self, key: str, default: Any = None) -> Any: ...
    def delete(self, key: str) -> bool: ...
    def exists(self, key: str) -> bool: ...
    def touch(self, key: str, ttl: TTL = None) -> bool: ...
    def ttl(self, key: str) -> float | None: ...
    def incr(self, key: str, delta: int = 1, ttl: TTL = None) -> int: ...
    def get_many(self, keys: Iterable[str]) -> dict[str, Any]: ...
    def set_many(
        self, mapping: Mapping[str, Any], ttl: TTL = None, *, jitter: float = 0.0
    ) -> list[str]: ...
    def delete_many(self, keys: Iterable[str]) -> int: ...
    def scan(self, pattern: str = "*") -> Iterator[str]: ...
    def delete_matching(self, pattern: str) -> int: ...
    def count(self) -> int: ...
    def clear(self, *, nested: bool = False) -> int: ...


class _AsyncKeyspace(Protocol):
    """The asyncio methods; `Keyspace` explains them."""

    async def aget(self, key: str, default: Any = None) -> Any: ...
    async def aset(self, key: str, value: Any, ttl: TTL = None) -> bool: ...
    async def aadd(self, key: str, value: Any, ttl: TTL = None) -> bool: ...
    async def apop(self, key: str, default: Any = None) -> Any: ...
    async def adelete(self, key: str) -> bool: ...
    async def aexists(self, key: str) -> bool: ...
    async def atouch(self, key: str, ttl: TTL = None) -> bool: ...
    async def attl(self, key: str) -> float | None: ...
    async def aincr(self, key: str, delta: int = 1, ttl: TTL = None) -> int: ...
    async def aget_many(self, keys: Iterable[str]) -> dict[str, Any]: ...
    async def aset_many(
        self, mapping: Mapping[str, Any], ttl: TTL = None, *, jitter: float = 0.0
    ) -> list[str]: ...
    async def adelete_many(self, keys: Iterable[str]) -> int: ...
    def ascan(self, pattern: str = "*") -> AsyncIterator[str]: ...
    async def adelete_matching(self, pattern: str) -> int: ...
    async def acount(self) -> int: ...
    async def aclear(self, *, nested: bool = False) -> int: ...


class Keyspace(_BlockingKeyspace, _AsyncKeyspace, Protocol):
    """One namespace of a backend. Checks keys, values and ttls itself, and counts.

    ``get`` and ``pop`` return the value or the default; ``set`` ``True``; ``add`` whether the
    key was absent; ``delete``, ``exists`` and ``touch`` whether the entry existed; ``ttl``
    seconds left, ``None`` for never, ``0.0`` when missing; ``incr`` the sum; ``get_many`` the
    hits in the order asked; ``set_many`` the keys that failed, after validating all before
    writing any (``jitter`` is the share by which each ttl is spread); ``delete_many``,
    ``delete_matching`` and ``clear`` how many live entries went; ``scan`` an iterator over the
    live keys that match; ``count`` how many entries live.

    A ttl is seconds, a ``timedelta``, or ``None`` for never; zero or less is already expired.
    An outage raises `BackendUnavailableError`, use after close `CacheClosedError`.
    """

    def usage(self) -> Usage:
        """Return how full the whole backend is, without I/O."""


class Backend(Keyspace, Protocol):
    """A store of entries, shared by any number of managers.

    Attributes:
        kind: its name, ``"memory"`` for example.
    """

    @property
    def kind(self) -> str:
        """Name of the backend, as in configurations."""

    def keyspace(self, path: str, counters: Counters) -> Keyspace:
        """Return the view on a namespace (``"users/vip"``) that counts into ``counters``."""

    def ping(self) -> str:
        """Return one line on the state of the backend; raise when it can't work."""

    def close(self) -> None:
        """Give up what is held, for both faces; idempotent."""

    async def aping(self) -> str:
        """Do what ``ping`` does."""

    async def aclose(self) -> None:
        """Do what ``close`` does."""
