# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""One face of a function whose results are kept."""

from __future__ import annotations

from functools import partial

from symphra_cache._cached import CachedState, arun
from symphra_cache._callers import AsyncCaller
from symphra_cache.exceptions import BackendUnavailableError
from symphra_cache.types import MISSING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Any

__all__ = ["AsyncCachedOps"]


class AsyncCachedOps(CachedState):
    """What can be done with the kept results of a function."""

    async def ainvalidate(self, *args: Any, **kwargs: Any) -> bool:
        """Forget the result of a call.

        Returns:
            Whether there was one.

        Raises:
            TypeError: the function can't be called like this.
            UnkeyableArgumentError: no key can be made of an argument.
            BackendUnavailableError: an outage.
        """
        removed: bool = await self._manager.adelete(self._key(*args, **kwargs))
        return removed

    async def ainvalidate_all(self) -> int:
        """Forget the results of all calls.

        Returns:
            How many there were.

        Raises:
            ConfigurationError: a function makes the keys, and nobody knows which these are.
            BackendUnavailableError: an outage.
        """
        removed: int = await self._manager.adelete_matching(self._pattern())
        return removed

    async def arefresh(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function now and keep its result, whatever was kept before.

        Returns:
            The result; of a generator the list of all that it yields.

        Raises:
            InvalidLoaderError: by the blocking face, of a function that it can't run.
            TypeError: the function can't be called like this.
            UnkeyableArgumentError: no key can be made of an argument.
        """
        self._check_refresh("arefresh")
        key = self._key(*args, **kwargs)
        return await self._loads.arefresh(key, self._load.of(partial(arun, self, args, kwargs)))

    async def amissed(self, key: str, ended: int, /, *args: Any, **kwargs: Any) -> Any:
        """Load what a call has missed, or wait for who does already."""
        self.counts.misses += 1
        return await self._loads.aload(key, self._load.of(partial(arun, self, args, kwargs)), ended)

    async def astreamed(self, key: str, /, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        """Yield what a generator yields, kept or new; when it was run to its end, keep it."""
        try:
            kept = await self._manager.aget(key, MISSING)
        except BackendUnavailableError:
            kept = MISSING
        if type(kept) is list:
            self.counts.hits += 1
            for item in kept:
                yield item
            return
        self.counts.misses += 1
        self.counts.loads += 1
        recording = self._loads.recording(key, AsyncCaller())
        source = self.original(*args, **kwargs)
        try:
            async for item in source:
                recording.add(item)
                yield item
        except BaseException as error:
            recording.abandon()  # now, for who keeps the error keeps this frame
            self.counts.errors += isinstance(error, Exception)
            raise
        finally:
            await source.aclose()
        await self._loads.akeep(recording.flight, self._load, recording.items())
