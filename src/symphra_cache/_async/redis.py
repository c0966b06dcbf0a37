# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""One face of the Redis backend: each operation is one round trip where it can be."""

from __future__ import annotations

from symphra_cache import _redis_scripts as scripts
from symphra_cache._integers import checked_delta
from symphra_cache._patterns import compile_pattern
from symphra_cache._redis import HEAD, RedisKeyspaceState, failures
from symphra_cache._redis_errors import client_errors, is_refusal
from symphra_cache._ttl import milliseconds
from symphra_cache.exceptions import NotAnIntegerError
from symphra_cache.types import MISSING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterable, Mapping
    from typing import Any

    from symphra_cache._redis_near import Read
    from symphra_cache._redis_scripts import Script
    from symphra_cache.types import TTL

__all__ = ["AsyncNearRedisOps", "AsyncRedisOps"]


class AsyncRedisOps(RedisKeyspaceState):
    """Operations on one namespace on a server; see `symphra_cache.backends.base.Keyspace`."""

    async def _acall(self, name: bytes, *command: Any) -> Any:
        """Send one command about a name; another type under it answers like nothing at all."""
        try:
            return await self._routes.acall(name, *command)
        except client_errors() as error:
            if is_refusal(error, "WRONGTYPE"):
                return None
            raise self._unavailable(error) from error

    async def _arun(self, script: Script, name: bytes, *arguments: Any) -> Any:
        """Run a script on a name."""
        try:
            return await self._routes.arun(script, name, *arguments)
        except client_errors() as error:
            raise self._unavailable(error) from error

    async def aget(self, key: str, default: Any = None) -> Any:
        """Return the value, or ``default`` on a miss."""
        name = self._name(key)
        return self._opened(name, await self._acall(name, "GET", name), default)

    async def aset(self, key: str, value: Any, ttl: TTL = None) -> bool:
        """Store the value and return ``True``."""
        name, lifetime, text = self._prepared(key, value, ttl)
        if lifetime == 0:
            await self._acall(name, "UNLINK", name)
            return True
        expiry = () if lifetime is None else ("PX", b"%d" % lifetime)
        await self._acall(name, "SET", name, text, *expiry)
        self._counters.sets += 1
        return True

    async def aadd(self, key: str, value: Any, ttl: TTL = None) -> bool:
        """Store the value if nothing lives under the key; tell whether nothing did."""
        name, lifetime, text = self._prepared(key, value, ttl)
        if lifetime == 0:
            return not self._live(await self._afetch_head(name))
        expiry = () if lifetime is None else ("PX", lifetime)
        while not await self._acall(name, "SET", name, text, "NX", *expiry):
            head = await self._afetch_head(name)
            if self._live(head):
                return False
            # Unreadable: replaced, unless somebody was faster.
            arguments = (head or b"", text, "" if lifetime is None else lifetime)
            if await self._arun(scripts.ADD_OVER, name, *arguments):
                break
        self._counters.sets += 1
        return True

    async def _afetch_head(self, name: bytes) -> bytes | None:
        head: bytes | None = await self._acall(name, "GETRANGE", name, 0, HEAD)
        return head

    async def apop(self, key: str, default: Any = None) -> Any:
        """Remove the entry and return its value, or ``default`` if there is none."""
        name = self._name(key)
        reply = await self._acall(name, "GETDEL", name)
        self._removed(reply)
        return self._opened(name, reply, default)

    async def adelete(self, key: str) -> bool:
        """Remove the entry; tell whether there was one."""
        return self._removed((await self._arun(scripts.REMOVE, self._name(key)))[0])

    async def aexists(self, key: str) -> bool:
        """Tell whether something lives under the key."""
        return self._live(await self._afetch_head(self._name(key)))

    async def atouch(self, key: str, ttl: TTL = None) -> bool:
        """Give the entry a new ttl; tell whether there was one."""
        name = self._name(key)
        lifetime = milliseconds(ttl)
        if lifetime == 0:
            return self._live((await self._arun(scripts.REMOVE, name))[0])
        expiry = "" if lifetime is None else lifetime
        return self._live(await self._arun(scripts.TOUCH, name, expiry))

    async def attl(self, key: str) -> float | None:
        """Return seconds left, ``None`` for never, ``0.0`` if nothing is there."""
        head, left = await self._arun(scripts.TIME_LEFT, self._name(key))
        if not self._live(head):
            return 0.0
        return None if left < 0 else max(left, 1) / 1000  # 0.0 would say that it is gone

    async def aincr(self, key: str, delta: int = 1, ttl: TTL = None) -> int:
        """Add ``delta`` and return the sum; a missing counter starts at 0 and takes ``ttl``."""
        name = self._name(key)
        lifetime = milliseconds(ttl)
        delta = checked_delta(delta)
        if not self._store.plain_integers:
            raise NotAnIntegerError(
                "incr needs plain integers, and PickleSerializer(sign_integers=True) signs "
                "them; leave sign_integers out to count"
            )
        expiry = "" if lifetime is None else lifetime
        reply = await self._arun(scripts.INCREMENT, name, delta, expiry)
        if reply is None:
            raise self._not_incremented(name, await self._acall(name, "GET", name), delta)
        self._counters.sets += reply[1]
        return int(reply[0])

    async def aget_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """Return the hits in the order asked."""
        names = self._names(keys)
        self._require_open()
        replies = await self._routes.aget_all(list(names.values())) if names else []
        self._require_done(replies, names)
        return self._opened_many(names, replies)

    async def aset_many(
        self, mapping: Mapping[str, Any], ttl: TTL = None, *, jitter: float = 0.0
    ) -> list[str]:
        """Store all values, having checked all before the first; return the keys that failed."""
        names, commands = self._prepared_many(mapping, ttl, jitter)
        self._require_open()
        if names and not commands:  # they are expired already
            await self._aremove(list(names.values()), names, counted=False)
            return []
        replies = await self._routes.asend_all(list(names.values()), commands)
        self._counters.sets += len(replies) - len(failures(replies))
        self._require_done(replies, names)
        return []

    async def adelete_many(self, keys: Iterable[str]) -> int:
        """Remove the entries; return how many there were."""
        names = self._names(keys)
        self._require_open()
        return await self._aremove(list(names.values()), names)

    async def _aremove(
        self, names: list[bytes], keys: Collection[str] = (), *, counted: bool = True
    ) -> int:
        """Remove names; an outage tells which of the keys, if given, remain."""
        heads = await self._routes.arun_all(scripts.REMOVE, names)
        removed = sum([not isinstance(head, Exception) and self._live(head) for head in heads])
        if counted:
            self._counters.deletes += removed
        self._require_done(heads, keys)
        return removed

    async def ascan(self, pattern: str = "*") -> AsyncIterator[str]:
        """Yield the matching keys that live. Remembers them, since the server repeats names."""
        matches = compile_pattern(pattern)
        async for names in self._apages(nested=False):
            for key in self._keys_of(names, await self._aheads(names)):
                if matches is None or matches(key):
                    yield key

    async def _aheads(self, names: list[bytes]) -> list[bytes | None]:
        """Return the heads of what stands under names that a scan has found."""
        heads: list[bytes | None] = await self._routes.arun_all(scripts.HEADS, names)
        self._require_done(heads)
        return heads

    async def _apages(self, *, nested: bool) -> AsyncIterator[list[bytes]]:
        """Yield the names of this namespace, each once."""
        self._require_open()
        seen: set[bytes] = set()
        try:
            for pattern in self._patterns(nested):
                async for found in self._routes.apages(pattern):
                    names = [name for name in dict.fromkeys(found) if name not in seen]
                    seen.update(names)
                    if names:
                        yield names
        except client_errors() as error:
            raise self._unavailable(error) from error

    async def adelete_matching(self, pattern: str) -> int:
        """Remove the entries whose keys match; return how many there were."""
        matches = compile_pattern(pattern)
        removed = 0
        async for names in self._apages(nested=False):
            keys = self._keys_of(names, await self._aheads(names))
            chosen = [self._name(key) for key in keys if matches is None or matches(key)]
            removed += await self._aremove(chosen)
        return removed

    async def acount(self) -> int:
        """Return how many entries live in this namespace."""
        counted = 0
        async for names in self._apages(nested=False):
            counted += len(self._keys_of(names, await self._aheads(names)))
        return counted

    async def aclear(self, *, nested: bool = False) -> int:
        """Remove all entries of this namespace; return how many there were."""
        removed = 0
        async for names in self._apages(nested=nested):
            removed += await self._aremove(names)
        return removed

    async def aping(self) -> str:
        """Return one line on the state of the backend."""
        try:
            await self._routes.aping()
        except client_errors() as error:
            raise self._unavailable(error) from error
        return f"Redis at {self._store.where}"

    async def aclose(self) -> None:
        """Close the connections that are ours; later use raises `CacheClosedError`."""
        if self._store.near is not None:
            self._store.near.close()
        await self._store.pools.aclose()


class AsyncNearRedisOps(AsyncRedisOps):
    """The same, keeping near what is read."""

    async def aget(self, key: str, default: Any = None) -> Any:
        """Return the value, or ``default`` on a miss."""
        name = self._name(key)
        mark = self._near.mark(name, self._prefix)
        if mark is None:
            return await super().aget(key, default)
        read: Read = (None, 0, None)
        try:
            ((reply, left),) = await self._routes.aread_all([name])
            if isinstance(reply, Exception):
                raise self._unavailable(reply) from reply
            value = self._opened(name, reply, MISSING)
            if value is MISSING:
                return default
            read = self._near.kept(name, value, reply, left), left, reply
            return value
        finally:
            self._near.fill(name, mark, *read)

    async def aget_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """Return the hits in the order asked."""
        names = self._names(keys)
        self._require_open()
        values = {key: self._near.table.hit(name) for key, name in names.items()}
        cold = {key: name for key, name in names.items() if values[key] is MISSING}
        self._counters.hits += len(names) - len(cold)
        if cold:
            values |= await self._aget_cold(cold)
        return {key: value for key, value in values.items() if value is not MISSING}

    async def _aget_cold(self, cold: dict[str, bytes]) -> dict[str, Any]:
        """Read from the servers what is not near."""
        near, reads = self._near, dict[bytes, "Read"]()
        marks = {name: near.mark(name, self._prefix) for name in cold.values()}
        try:
            pairs = await self._routes.aread_all(list(marks))
            replies = [reply for reply, _ in pairs]
            self._require_done(replies, cold)
            hits = self._opened_many(cold, replies)
            for (key, name), (reply, left) in zip(cold.items(), pairs, strict=True):
                if key in hits:
                    reads[name] = near.kept(name, hits[key], reply, left), left, reply
            return hits
        finally:
            for name, mark in marks.items():
                near.fill(name, mark, *reads.get(name, (None, 0, None)))
