"""State of a manager: its backend, its namespace, its defaults. No I/O here.

The faces of the manager are in ``_async/manager.py`` and its generated twin.
"""

from __future__ import annotations

from symphra_cache._keys import checked_namespace
from symphra_cache._metrics import Counters
from symphra_cache._ttl import checked_jitter, milliseconds, spread
from symphra_cache.exceptions import ConfigurationError
from symphra_cache.types import DEFAULT, CacheStats

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal, NoReturn, Self

    from symphra_cache.backends.base import Backend, Keyspace
    from symphra_cache.types import TTL, TTLArgument

__all__ = ["ManagerState"]

_BACKEND_METHODS = ("keyspace", "get", "aget", "ping", "aping", "close", "aclose", "usage")


class ManagerState:
    """What both faces of a manager share. Set up once, then only read."""

    _loads: Any  # of its namespace, both faces of them

    def __init__(
        self,
        backend: Backend,
        *,
        namespace: str = "symphra",
        name: str | None = None,
        default_ttl: TTL = None,
        jitter: float = 0.0,
        on_outage: Literal["raise", "degrade"] = "raise",
    ) -> None:
        self._backend = _checked_backend(backend)
        self._label = _checked_name(name)
        milliseconds(default_ttl)
        self._default_ttl = default_ttl
        self._jitter = checked_jitter(jitter)
        self._degrades = _checked_on_outage(on_outage) == "degrade"
        self._counters = Counters()
        self._is_view = False
        self._enter(checked_namespace(namespace))

    def _enter(self, path: str) -> None:
        """Work on the namespace ``path`` from now on; for construction only."""
        self._path = path
        self._keyspace = self._opened(path)
        self._bind()

    def _opened(self, path: str) -> Keyspace:
        """Return the backend's keyspace of a namespace."""
        return self._backend.keyspace(path, self._counters)

    def _bind(self) -> None:
        """Make methods of the keyspace this manager's own where it has nothing to add to them."""

    def namespace(self, name: str) -> Self:
        """Return a view on a namespace inside this one, on the same backend.

        A view shares the manager's defaults and counts; closing it does nothing. Views may be
        nested, and made as often as needed: they are cheap.

        Args:
            name: matches ``[A-Za-z0-9_.-]{1,64}``.

        Raises:
            ConfigurationError: the name is something else.
        """
        view = object.__new__(type(self))
        vars(view).update(vars(self))
        view._is_view = True
        view._enter(f"{self._path}/{checked_namespace(name)}")
        return view

    @property
    def backend(self) -> Backend:
        """The backend, which other managers may share."""
        return self._backend

    def stats(self) -> CacheStats:
        """Return the counts of this manager in this process, and how full its backend is.

        Does no I/O; what would need some is ``None``.
        """
        counters = self._counters
        return CacheStats(
            hits=counters.hits,
            misses=counters.misses,
            sets=counters.sets,
            deletes=counters.deletes,
            corrupt=counters.corrupt,
            errors=counters.errors,
            **self._backend.usage()._asdict(),
        )

    def _given(self, ttl: TTLArgument) -> TTL:
        """Return the ttl of a write: the default if none was given."""
        return self._default_ttl if ttl is DEFAULT else ttl  # type: ignore[return-value]

    def _lifetime(self, ttl: TTLArgument) -> TTL:
        """Return the ttl of one entry, spread by the jitter."""
        given = self._default_ttl if ttl is DEFAULT else ttl  # hot path: `_given`, unrolled
        return spread(given, self._jitter) if self._jitter else given  # type: ignore[arg-type,return-value]

    @staticmethod
    def _check_scan(pattern: object) -> None:
        """Refuse a wrong pattern at the call, not at the first step of the iteration."""
        from symphra_cache._patterns import compile_pattern

        compile_pattern(pattern)

    def __bool__(self) -> bool:
        return True  # an empty cache is still a cache

    def __repr__(self) -> str:
        label = f"{self._label!r}, " if self._label else ""
        return f"CacheManager({label}{self._backend!r}, namespace={self._path!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a CacheManager can't be pickled or copied, for its connections belong to this "
            "process; make one in the child, with CacheManager.from_url(...) for example"
        )


def _checked_backend(backend: Backend) -> Backend:
    if not isinstance(backend, type) and all(
        callable(getattr(backend, method, None)) for method in _BACKEND_METHODS
    ):
        return backend
    got = f"the class {backend.__name__}" if isinstance(backend, type) else type(backend).__name__
    raise ConfigurationError(
        f"backend must be a backend object such as MemoryBackend(), got {got}; "
        "for a URL use CacheManager.from_url(...)"
    )


def _checked_name(name: str | None) -> str | None:
    if name is None or (isinstance(name, str) and name):
        return name
    got = "an empty str" if isinstance(name, str) else type(name).__name__
    raise ConfigurationError(f"name must be a non-empty str or None, got {got}")


def _checked_on_outage(mode: object) -> object:
    if isinstance(mode, str) and mode in ("raise", "degrade"):
        return mode
    got = repr(mode[:64]) if isinstance(mode, str) else type(mode).__name__
    raise ConfigurationError(
        f"on_outage must be 'raise' or 'degrade', got {got}; 'raise' raises "
        "BackendUnavailableError, 'degrade' answers as an empty cache would"
    )
