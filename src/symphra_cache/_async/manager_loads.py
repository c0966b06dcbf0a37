# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""One face of `CacheManager`: what is loaded when it is missing."""

from __future__ import annotations

from symphra_cache._loads import AsyncLoad
from symphra_cache._manager import ManagerState
from symphra_cache.types import DEFAULT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from symphra_cache.types import TTLArgument

__all__ = ["AsyncManagerLoads"]


class AsyncManagerLoads(ManagerState):
    """Loads of one namespace; see `symphra_cache._flights` for who loads when many want to."""

    async def aget_or_set(
        self,
        key: str,
        loader: Any,
        ttl: TTLArgument | Callable[[Any], TTLArgument] = DEFAULT,
        *,
        should_cache: Callable[[Any], object] | None = None,
        jitter: float | None = None,
    ) -> Any:
        """Return the value under a key; on a miss load it, store it and return it.

        Whoever else wants the key meanwhile, in this process and by either face, waits for the
        same load and shares its outcome. What is loaded is not stored if the key was written or
        removed meanwhile. In an outage the loader is called, and its value returned.

        Args:
            key: its key.
            loader: a function without arguments, or the value itself.
                Functions that block fit both faces, others their own.
            ttl: time to live in seconds, or a function of the value that returns it; as with
                ``set``.
            should_cache: a function of the value that tells whether it is stored.
            jitter: the share by which the ttl is spread; the manager's by default.

        Returns:
            The value, which is the caller's own where the backend gives everybody his own.

        Raises:
            InvalidKeyError: the key is wrong.
            InvalidTTLError: the ttl is wrong.
            ConfigurationError: ``should_cache`` or ``jitter`` is wrong.
            InvalidLoaderError: the loader is of the wrong kind.
            RecursiveLoadError: the loader asks for what it loads.
            SerializationError: the value can't be stored.
            CacheClosedError: the manager is closed.
            Exception: whatever the loader raises. It is not kept.
        """
        load = AsyncLoad(loader, ttl, should_cache, self._jitter if jitter is None else jitter)
        return await self._loads.aget_or_set(key, load)

    async def aget_or_set_many(
        self,
        keys: Iterable[str],
        loader: Any,
        ttl: TTLArgument | Callable[[Any], TTLArgument] = DEFAULT,
        *,
        should_cache: Callable[[Any], object] | None = None,
        jitter: float | None = None,
    ) -> dict[str, Any]:
        """Return the values under many keys; load what is missing by one call.

        As with ``get_or_set``; keys that somebody else loads already are waited for instead.

        Args:
            keys: their keys.
            loader: a function of the list of missing keys that returns a mapping; what it leaves
                out is left out of the answer, what it adds is ignored.
            ttl: time to live in seconds, or a function of each value that returns it.
            should_cache: a function of each value that tells whether it is stored.
            jitter: the share by which the ttl is spread; the manager's by default.

        Returns:
            The values in the order of ``keys``.

        Raises:
            InvalidLoaderError: the loader returns no mapping, or is of the wrong kind.
            Exception: whatever ``get_or_set`` raises.
        """
        load = AsyncLoad(loader, ttl, should_cache, self._jitter if jitter is None else jitter)
        found: dict[str, Any] = await self._loads.aget_or_set_many(keys, load)
        return found
