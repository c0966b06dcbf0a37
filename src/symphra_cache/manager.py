"""`CacheManager`: the one object that programs use, both faces of it."""

from __future__ import annotations

from typing import overload

from symphra_cache._async.manager import AsyncManagerOps
from symphra_cache._async.manager_loads import AsyncManagerLoads
from symphra_cache._flights import flights_of
from symphra_cache._load_faces import Loads
from symphra_cache._sync.manager import SyncManagerOps
from symphra_cache._sync.manager_loads import SyncManagerLoads
from symphra_cache._watched_keyspace import watched
from symphra_cache.types import DEFAULT

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
    from typing import Any, ParamSpec, Self, TypeVar

    from symphra_cache._cached_types import (
        CachedAsyncGenerator,
        CachedCoroutine,
        CachedFunction,
        CachedGenerator,
        Decorates,
        Nothing,
    )
    from symphra_cache.backends.base import Keyspace
    from symphra_cache.types import TTLArgument

    P = ParamSpec("P")
    T = TypeVar("T")

__all__ = ["CacheManager"]


class CacheManager(AsyncManagerOps, SyncManagerOps, AsyncManagerLoads, SyncManagerLoads):
    """A cache: ``get``, ``set``, … block; ``aget``, ``aset``, … are their asyncio twins.

    Both faces work on the same entries, from any thread and any event loop at once.

    Args:
        backend: where entries are kept; several managers may share one.
        namespace: keeps this manager's keys apart from those of others on the backend;
            matches ``[A-Za-z0-9_.-]{1,64}``.
        name: what logs and metrics call this manager.
        default_ttl: time to live of entries that are stored without one: seconds, a
            ``timedelta``, or ``None`` for never.
        jitter: by what share a ttl is spread at random, both ways; with 0.1 entries written
            together expire within ±10 % of their ttl.
        on_outage: ``"raise"`` raises `BackendUnavailableError` when the backend is out of reach;
            ``"degrade"`` goes on without it, as with a cache that holds nothing: reads miss,
            ``set`` answers ``True``, ``set_many`` the keys that failed, removals ``False`` or 0.
            What could not be written or removed is remembered, and removed as soon as the
            backend answers again, so that no old value comes back; a process that ends before
            forgets it. ``add`` and ``incr`` raise all the same. Namespace views do likewise.

    Raises:
        ConfigurationError: an argument is wrong.
        InvalidTTLError: ``default_ttl`` is wrong.
    """

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Self:
        """Make a manager from a URL such as ``memory://?max_size=1000``.

        Args:
            url: ``memory://``, ``file:///var/cache/app.db``, ``null://``, or the scheme of a
                registered backend; backend options stand in its query.
            **options: options of the manager: ``namespace``, ``name``, ``default_ttl``,
                ``jitter``, ``on_outage``.

        Raises:
            ConfigurationError: the URL or an option is wrong; names the nearest valid one.
        """
        from symphra_cache.config import from_url

        return cls(**from_url(url, options))

    @classmethod
    def from_config(cls, config: Mapping[str, Any] | str | os.PathLike[str]) -> Self:
        """Make a manager from a mapping or from a TOML, JSON or YAML file.

        Args:
            config: ``{"backend": "memory", "options": {…}, "namespace": …, …}`` or
                ``{"url": …}``, or the path of a file that holds it.

        Raises:
            ConfigurationError: an option is wrong; names the nearest valid one.
        """
        from symphra_cache.config import from_config

        return cls(**from_config(config))

    @classmethod
    def from_env(cls, prefix: str = "SYMPHRA_CACHE_") -> Self:
        """Make a manager from environment variables.

        Args:
            prefix: ``…URL``, or ``…BACKEND`` with ``…OPTIONS__MAX_SIZE`` and the like;
                ``…NAMESPACE``, ``…DEFAULT_TTL``, …. Each is converted by its option's type.

        Raises:
            ConfigurationError: a variable is wrong or unknown; names the nearest valid one.
        """
        from symphra_cache.config import from_env

        return cls(**from_env(prefix))

    @overload
    def cached(self, function: Callable[P, Nothing], /) -> CachedFunction[P, Any]: ...
    @overload
    def cached(  # type: ignore[overload-overlap]
        self, function: Callable[P, Coroutine[Any, Any, T]], /
    ) -> CachedCoroutine[P, T]: ...
    @overload
    def cached(  # type: ignore[overload-overlap]
        self, function: Callable[P, AsyncIterator[T]], /
    ) -> CachedAsyncGenerator[P, T]: ...
    @overload
    def cached(  # type: ignore[overload-overlap]
        self, function: Callable[P, Iterator[T]], /
    ) -> CachedGenerator[P, T]: ...
    @overload
    def cached(self, function: Callable[P, T], /) -> CachedFunction[P, T]: ...
    @overload
    def cached(
        self,
        /,
        *,
        ttl: TTLArgument | Callable[[Any], TTLArgument] = DEFAULT,
        key: Callable[..., str] | str | None = None,
        should_cache: Callable[[Any], object] | None = None,
        jitter: float | None = None,
    ) -> Decorates: ...
    def cached(
        self,
        function: Any = None,
        /,
        *,
        ttl: TTLArgument | Callable[[Any], TTLArgument] = DEFAULT,
        key: Callable[..., str] | str | None = None,
        should_cache: Callable[[Any], object] | None = None,
        jitter: float | None = None,
    ) -> Any:
        """Decorate a function so that its results are kept: ``@cache.cached(ttl=60)``, or bare.

        Works on functions, coroutine functions, methods of all kinds, below ``@property``, and on
        generators of both kinds. A miss is loaded as with ``get_or_set``: once, whoever else
        calls meanwhile waits, and a result is not stored if its key was written meanwhile. In an
        outage the function is called, and its value returned.

        What stands for the function has its name, signature and documentation, and besides:

        - ``invalidate(*args)`` forgets the result of a call, ``invalidate_all()`` of all calls;
        - ``refresh(*args)`` runs the function now, keeps the result and returns it;
        - ``ainvalidate``, ``ainvalidate_all`` and ``arefresh`` do so in a coroutine; these and
          those fit functions of either kind, but ``refresh`` can't run a coroutine function;
        - ``key_for(*args)`` is the key of a call, ``stats()`` the counts of this function in this
          process, ``original`` the function itself.

        A generator yields to its caller as it runs, and its items are stored as a list once it
        has come to its end; no two of them share a run. It yields and no more, new or replayed:
        what is sent to it is ignored, what is thrown into it ends it, what it returns is lost.

        Args:
            function: the function, where no option is given.
            ttl: time to live, or a function of the value that returns it.
            key: a function of the same arguments that returns the key, or a template such as
                ``"user:{user_id}"``. By default the key names the function with its module, and
                all arguments; ``self`` too, so its type needs a ``__cache_key__``.
            should_cache: a function of the value that tells whether it is stored.
            jitter: by what share the ttl is spread; the manager's by default.

        Raises:
            ConfigurationError: an option is wrong, or this is no function.
            InvalidTTLError: the ttl is wrong.
        """
        from symphra_cache._decorating import Decorator

        spread = self._jitter if jitter is None else jitter
        decorator = Decorator(self, ttl, key, should_cache, spread)
        return decorator if function is None else decorator(function)

    def _opened(self, path: str) -> Keyspace:
        flights = flights_of(self._backend)
        if self._degrades:
            from symphra_cache._degrading_keyspace import DegradingKeyspace

            stored: Keyspace = DegradingKeyspace(self._backend, path, self._counters)
        else:
            stored = self._backend.keyspace(path, self._counters)
        self._loads = Loads(flights, stored, path, self._default_ttl, self._counters)
        return watched(stored, flights, path)

    def _bind(self) -> None:
        # Hot path: it saves a frame, in asyncio a coroutine. A subclass's own methods stay.
        keyspace = self._keyspace
        mine, own = type(self), vars(self)
        if mine.get is SyncManagerOps.get:
            own.update(get=keyspace.get)
        if mine.aget is AsyncManagerOps.aget:
            own.update(aget=keyspace.aget)
        if self._default_ttl is None and not self._jitter:
            if mine.set is SyncManagerOps.set:
                own.update(set=keyspace.set)
            if mine.aset is AsyncManagerOps.aset:
                own.update(aset=keyspace.aset)

    def __contains__(self, key: str) -> bool:
        return self.exists(key)

    def __len__(self) -> int:
        return self.count()
