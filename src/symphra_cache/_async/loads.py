# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""One face of loads: a miss is loaded once, whoever else wants it waits; see ``_flights.py``."""

from __future__ import annotations

from functools import partial

from symphra_cache._callers import AsyncCaller, arung, entered, left
from symphra_cache._keys import checked_keys
from symphra_cache._loads import LoadsState, acalled, checked_result, shared_outcome, tell
from symphra_cache._ttl import spread
from symphra_cache.exceptions import BackendUnavailableError, CacheClosedError
from symphra_cache.types import MISSING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from symphra_cache._flights import Flight
    from symphra_cache._loads import Load
    from symphra_cache.types import TTL

__all__ = ["AsyncLoads"]


class AsyncLoads(LoadsState):
    """The loads of one namespace."""

    # --- one key ----------------------------------------------------------------------

    async def aget_or_set(self, key: str, load: Load) -> Any:
        """Return the value under a key, loading it on a miss."""
        ended = self._flights.ended
        value = await self._aread(key)
        return value if value is not MISSING else await self.aload(key, load, ended)

    async def _aread(self, key: str) -> Any:
        try:
            return await self._keyspace.aget(key, MISSING)
        except BackendUnavailableError:  # which the keyspace has counted
            return MISSING

    async def _aread_again(self, key: str) -> Any:
        """Look once more; to find nothing once more is no second miss."""
        errors = self._counters.errors
        value = await self._aread(key)
        if value is MISSING and self._counters.errors == errors:
            self._counters.misses -= 1
        return value

    async def arefresh(self, key: str, load: Load) -> Any:
        """Load a value now, whatever is stored; nobody gets what began to be loaded before."""
        caller, write, writing = AsyncCaller(), object(), self._flights.writing
        writing[write] = (self._path, key)
        try:
            for flight in self._flights.void(self._path, key):
                while self._flights.waits_for_store(flight, caller):
                    await arung(caller)
            flight = self._flights.loaded_instead(write, (self._path, key), caller)
        finally:
            writing.pop(write, None)
        try:
            return await self._alead(flight, caller, load, None)
        finally:
            self._flights.leave(flight, caller)

    async def aload(self, key: str, load: Load, ended: int) -> Any:
        """Load a value that was missing, or wait for who does already.

        Args:
            key: its key.
            load: how.
            ended: how many loads had ended before it was looked for; -1: nobody knows.
        """
        caller, name = AsyncCaller(), (self._path, key)
        while True:
            flight = None
            try:
                flight = self._flights.join(name, caller)
                await self._aended(flight, caller)
                if flight.leader is caller:
                    return await self._alead(flight, caller, load, ended)
            finally:
                if flight is None or not flight.is_over:
                    self._flights.abandon([name], caller)
            if flight.has_outcome:
                return shared_outcome(flight)

    async def _aended(self, flight: Flight, caller: AsyncCaller) -> None:
        """Wait until a flight is over, until the caller leads it, or may not wait any more."""
        caller.waits_for = flight
        while not flight.is_over and flight.leader is not caller:
            await arung(caller)
            if not flight.is_over and not self._flights.may_wait_on(flight, caller):
                break
        caller.waits_for = None

    async def _alead(
        self, flight: Flight, caller: AsyncCaller, load: Load, ended: int | None
    ) -> Any:
        key = flight.name[1]
        token = entered([flight])
        try:
            # Somebody may have stored it since it was looked for.
            value = MISSING
            if ended is not None and ended != self._flights.ended:
                value = await self._aread_again(key)
            if value is MISSING:
                value = await acalled(load.loader)
                await self._astore(caller, load, {flight: value})
        except Exception as error:
            self._flights.end(flight, caller, None, error)
            raise
        finally:
            left(token)
        tell(self._flights, flight, caller, value)
        return value

    async def _astore(self, caller: AsyncCaller, load: Load, loaded: dict[Flight, Any]) -> None:
        """Store what was loaded, but for keys that were written meanwhile."""
        # The program's own functions first: a write of theirs would wait for what is being stored.
        ttls = {
            flight: load.ttl_of(value, self._default_ttl)
            for flight, value in loaded.items()
            if load.is_kept(value)
        }
        try:
            if hasattr(self._keyspace, "aset_if"):
                for flight, ttl in ttls.items():
                    may_store = partial(self._flights.may_store, flight, caller)
                    lifetime = spread(ttl, load.jitter)
                    await self._keyspace.aset_if(
                        may_store, flight.name[1], loaded[flight], lifetime
                    )
            else:
                mine = {one: ttls[one] for one in ttls if self._flights.may_store(one, caller)}
                await self._astore_by_ttl(mine, load.jitter, loaded)
        except (BackendUnavailableError, CacheClosedError):
            return  # who loads has the value all the same
        except Exception:
            raise
        except BaseException:
            for flight, value in loaded.items():
                tell(self._flights, flight, caller, value)
            raise

    async def _astore_by_ttl(
        self, ttls: dict[Flight, TTL], jitter: float, loaded: dict[Flight, Any]
    ) -> None:
        """Store what has one ttl by one call."""
        entries_of: dict[TTL, dict[str, Any]] = {}
        for flight, ttl in ttls.items():
            entries_of.setdefault(ttl, {})[flight.name[1]] = loaded[flight]
        for ttl, entries in entries_of.items():
            if len(entries) > 1:
                await self._keyspace.aset_many(entries, ttl, jitter=jitter)
            else:
                ((key, value),) = entries.items()
                await self._keyspace.aset(key, value, spread(ttl, jitter))
        voided = [flight.name[1] for flight in ttls if flight.is_void]
        if voided:  # by who could not wait; see `needs`
            await self._keyspace.adelete_many(voided)

    async def akeep(self, flight: Flight, load: Load, value: Any) -> None:
        """Store what somebody has loaded who led a flight alone, and end it."""
        caller = AsyncCaller()
        self._flights.hand_over(flight, caller)
        try:
            await self._astore(caller, load, {flight: value})
        finally:
            self._flights.leave(flight, caller)

    # --- many keys --------------------------------------------------------------------

    async def aget_or_set_many(self, keys: Iterable[str], load: Load) -> dict[str, Any]:
        """Return the values under many keys, loading what is missing by one call."""
        ended = self._flights.ended
        wanted = checked_keys(keys)
        found = await self._aread_many(wanted)
        missing = [key for key in wanted if key not in found]
        if missing:
            await self._aload_many(missing, load, ended, found)
        return {key: found[key] for key in wanted if key in found}

    async def _aread_many(self, keys: list[str]) -> dict[str, Any]:
        try:
            found: dict[str, Any] = await self._keyspace.aget_many(keys)
            return found
        except BackendUnavailableError:
            return {}

    async def _aload_many(
        self, keys: list[str], load: Load, ended: int, found: dict[str, Any]
    ) -> None:
        """Load what nobody loads yet, then wait for the rest."""
        caller, names = AsyncCaller(), [(self._path, key) for key in keys]
        try:
            flights = {name[1]: self._flights.join(name, caller) for name in names}
            mine = {key: one for key, one in flights.items() if one.leader is caller}
            if mine:
                await self._alead_many(mine, caller, load, ended, found)
            for key, flight in flights.items():
                if key in mine:
                    continue
                await self._aended(flight, caller)
                if flight.leader is caller:
                    await self._alead_many({key: flight}, caller, load, ended, found)
                elif flight.has_outcome:
                    found[key] = shared_outcome(flight)
                else:  # whose loaders left it out
                    await self._aload_many([key], load, ended, found)
        finally:
            self._flights.abandon(names, caller)

    async def _alead_many(
        self,
        mine: dict[str, Flight],
        caller: AsyncCaller,
        load: Load,
        ended: int,
        found: dict[str, Any],
    ) -> None:
        """Load the keys of the flights that the caller leads, by one call."""
        token = entered(mine.values())
        try:
            if self._flights.ended != ended:
                found |= await self._aread_many(list(mine))
            missing = [key for key in mine if key not in found]
            if missing:
                loaded = checked_result(await acalled(load.loader, missing), missing)
                await self._astore(caller, load, {mine[key]: loaded[key] for key in loaded})
                found |= loaded
        except Exception as error:
            for flight in mine.values():
                self._flights.end(flight, caller, None, error)
            raise
        finally:
            left(token)
        for key, flight in mine.items():
            if key in found:
                tell(self._flights, flight, caller, found[key])
            else:  # its loader left it out; who waits has one of his own
                self._flights.leave(flight, caller)
