# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""One face of the file backend: each operation is one transaction on the cache file."""

from __future__ import annotations

from symphra_cache import _sqlite as sql
from symphra_cache._file import BATCH, LARGEST_HOT, PAGE, FileKeyspaceState, telling
from symphra_cache._hot_load import Load
from symphra_cache._integers import checked_delta
from symphra_cache._keys import checked_keys, checked_mapping
from symphra_cache._patterns import compile_pattern
from symphra_cache._ttl import milliseconds
from symphra_cache.exceptions import BackendUnavailableError
from symphra_cache.types import MISSING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
    from typing import Any, ParamSpec, TypeVar

    from symphra_cache._hot_tier import Kept
    from symphra_cache.types import TTL

    P = ParamSpec("P")
    R = TypeVar("R")

__all__ = ["AsyncFileOps"]


class AsyncFileOps(FileKeyspaceState):
    """Operations on one namespace in a file; see `symphra_cache.backends.base.Keyspace`."""

    async def _aread(
        self, transaction: sql.Transaction[P, R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        try:
            return await self._connections.aread(transaction, *args, **kwargs)
        except BackendUnavailableError:
            self._counters.errors += 1
            raise

    async def _afetch(self, name: bytes) -> sql.Row | None:
        try:
            return await self._connections.afetch(name)
        except BackendUnavailableError:
            self._counters.errors += 1
            raise

    async def _awrite(
        self, name: bytes, transaction: sql.Transaction[P, R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run a transaction that may write one name."""
        return await self._awrite_many((name,), None, transaction, *args, **kwargs)

    async def _awrite_many(
        self,
        names: Collection[bytes],
        kept: Mapping[bytes, Kept] | None,
        transaction: sql.Transaction[P, R],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        try:
            return await self._connections.awrite(names, kept, transaction, *args, **kwargs)
        except BackendUnavailableError:
            self._counters.errors += 1
            raise

    async def aget(self, key: str, default: Any = None) -> Any:
        """Return the value, or ``default`` on a miss."""
        name = self._name(key)
        mark, kept = self._tier.mark(name), None
        try:
            row = await self._afetch(name)
            value, kept = self._opened(name, row, default, keep=mark is not None)
            return value
        finally:
            self._tier.fill(name, mark, kept)

    async def aset(self, key: str, value: Any, ttl: TTL = None) -> bool:
        """Store the value and return ``True``."""
        name, expires, frame = self._prepared(key, value, ttl)
        if expires == 0:
            await self._awrite(name, sql.remove, name)
            return True
        kept = self._store.kept(name, value, expires, frame)
        try:
            await self._connections.astore(name, kept, expires, frame)
        except BackendUnavailableError:
            self._counters.errors += 1
            raise
        self._counters.sets += 1
        return True

    async def aadd(self, key: str, value: Any, ttl: TTL = None) -> bool:
        """Store the value if nothing lives under the key; tell whether nothing did."""
        name, expires, frame = self._prepared(key, value, ttl)
        kept = None if expires == 0 else frame
        was_absent = await self._awrite(name, sql.store_absent, name, expires, kept, self._live)
        if was_absent and kept is not None:
            self._counters.sets += 1
        return was_absent

    async def apop(self, key: str, default: Any = None) -> Any:
        """Remove the entry and return its value, or ``default`` if there is none."""
        name = self._name(key)
        row = await self._awrite(name, sql.take, name)
        self._removed(row)
        return self._opened(name, row, default, keep=False)[0]

    async def adelete(self, key: str) -> bool:
        """Remove the entry; tell whether there was one."""
        name = self._name(key)
        return self._removed(await self._awrite(name, sql.remove, name))

    async def aexists(self, key: str) -> bool:
        """Tell whether something lives under the key."""
        row = await self._aread(sql.fetch_head, self._name(key))
        return row is not None and self._live(*row)

    async def atouch(self, key: str, ttl: TTL = None) -> bool:
        """Give the entry a new ttl; tell whether there was one."""
        name = self._name(key)
        lifetime = milliseconds(ttl)
        if lifetime == 0:
            row = await self._awrite(name, sql.remove, name)
            return row is not None and self._live(*row)
        return await self._awrite(name, sql.touch, name, self._expiry(lifetime), self._live)

    async def attl(self, key: str) -> float | None:
        """Return seconds left, ``None`` for never, ``0.0`` if nothing is there."""
        return self._left(await self._aread(sql.fetch_head, self._name(key)))

    async def aincr(self, key: str, delta: int = 1, ttl: TTL = None) -> int:
        """Add ``delta`` and return the sum; a missing counter starts at 0 and takes ``ttl``."""
        name = self._name(key)
        lifetime = milliseconds(ttl)
        change = self._change(name, checked_delta(delta), keep=lifetime != 0)
        expires = self._expiry(lifetime)
        total, was_stored = await self._awrite(name, sql.increment, name, expires, change)
        if was_stored:
            self._counters.sets += 1
        return total

    async def aget_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """Return the hits in the order asked."""
        names = {key: self._name(key) for key in checked_keys(keys)}
        self._require_open()
        values = {key: self._tier.hit(name, self._store.time_ns) for key, name in names.items()}
        cold = {key: name for key, name in names.items() if values[key] is MISSING}
        self._counters.hits += len(names) - len(cold)
        if cold:
            await self._aget_cold(cold, values)
        return {key: value for key, value in values.items() if value is not MISSING}

    async def _aget_cold(self, cold: dict[str, bytes], values: dict[str, Any]) -> None:
        """Read from the file what the hot tier does not have."""
        names = list(cold.values())
        mark = self._tier.mark_all(names)
        kept: dict[bytes, Kept | None] = dict.fromkeys(names)
        try:
            with telling(cold):
                rows = await self._aread(sql.fetch_many, names)
            for (key, name), row in zip(cold.items(), rows, strict=True):
                values[key], kept[name] = self._opened(name, row, MISSING, keep=mark is not None)
        finally:
            self._tier.fill_all(mark, kept)

    async def aset_many(
        self, mapping: Mapping[str, Any], ttl: TTL = None, *, jitter: float = 0.0
    ) -> list[str]:
        """Store all values, having checked all before the first; return the keys that failed."""
        checked = checked_mapping(mapping)
        rows, kept = self._prepared_many(checked, ttl, jitter)
        names = [name for name, _, _ in rows]
        with telling(checked):
            if milliseconds(ttl) == 0:
                await self._awrite_many(names, None, sql.remove_many, names, self._live)
            else:
                await self._awrite_many(names, kept, sql.store_many, rows)
                self._counters.sets += len(rows)
        return []

    async def adelete_many(self, keys: Iterable[str]) -> int:
        """Remove the entries; return how many there were."""
        wanted = checked_keys(keys)
        with telling(wanted):
            return await self._aremove([self._name(key) for key in wanted])

    async def _aremove(self, names: list[bytes]) -> int:
        removed = await self._awrite_many(names, None, sql.remove_many, names, self._live)
        self._counters.deletes += removed
        return removed

    async def ascan(self, pattern: str = "*") -> AsyncIterator[str]:
        """Yield the matching keys that live, in the order of their bytes.

        Page by page from the last name on, so that a key that lives through the whole scan is
        seen once, whatever is written meanwhile.
        """
        matches = compile_pattern(pattern)
        async for rows in self._apages(nested=False):
            for _, key in self._living(rows):
                if matches is None or matches(key):
                    yield key

    async def _apages(self, *, nested: bool) -> AsyncIterator[list[sql.NamedRow]]:
        """Yield the rows of this namespace, a transaction each page."""
        for after, end in self._ranges(nested):
            while rows := await self._aread(sql.heads_after, after, end, BATCH):
                yield rows
                after = rows[-1][0]

    async def adelete_matching(self, pattern: str) -> int:
        """Remove the entries whose keys match; return how many there were."""
        matches = compile_pattern(pattern)
        removed = 0
        async for rows in self._apages(nested=False):
            living = self._living(rows)
            names = [name for name, key in living if matches is None or matches(key)]
            removed += await self._aremove(names)
        return removed

    async def acount(self) -> int:
        """Return how many entries live in this namespace."""
        counted = 0
        async for rows in self._apages(nested=False):
            counted += len(self._living(rows))
        return counted

    async def aclear(self, *, nested: bool = False) -> int:
        """Remove all entries of this namespace; return how many there were."""
        removed = 0
        async for rows in self._apages(nested=nested):
            removed += await self._aremove([name for name, _, _ in rows])
        return removed

    async def areload(self, progress: Callable[[int], object] | None = None) -> int:
        """Drop the hot tier and fill it with what lives in the file, of all namespaces.

        Args:
            progress: called by the caller's thread with the number of entries loaded so far,
                after each page of some thousand.

        Returns:
            How many entries the hot tier holds; at the most ``hot_size``.

        Raises:
            BackendUnavailableError: the file can't be read.
        """
        tier = self._tier
        await self._aread(sql.answer)  # opens the file
        tier.forget()
        load, after, has_room = Load(tier), b"", True
        try:
            while has_room:
                load.begin_page()
                rows = await self._aread(sql.rows_after, after, PAGE, LARGEST_HOT)
                if not rows:
                    break
                after = rows[-1][0]
                has_room = load.fill_page(self._store.unread(rows, load.generation))
                if progress is not None:
                    progress(len(tier.entries))
        finally:
            load.end()
        return len(tier.entries)

    async def aping(self) -> str:
        """Return one line on the state of the backend."""
        return await self._aread(sql.answer)

    async def aclose(self) -> None:
        """Close the file; later use raises `CacheClosedError`."""
        await self._connections.aclose()
