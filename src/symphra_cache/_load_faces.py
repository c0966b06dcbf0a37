"""`Loads`: the loads of one namespace, both faces of them."""

from __future__ import annotations

from symphra_cache._async.loads import AsyncLoads
from symphra_cache._sync.loads import SyncLoads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from symphra_cache._callers import Caller
    from symphra_cache._flights import Flights
    from symphra_cache._recordings import Recording

__all__ = ["Loads"]


class Loads(AsyncLoads, SyncLoads):
    """The loads of one namespace, whichever face they were asked for by."""

    @property
    def flights(self) -> Flights:
        """Those of the backend."""
        return self._flights

    def recording(self, key: str, caller: Caller) -> Recording:
        """Begin to keep what a generator yields."""
        from symphra_cache._recordings import Recording

        return Recording(self._flights, (self._path, key), caller)
