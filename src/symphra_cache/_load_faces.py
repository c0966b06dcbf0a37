"""`Loads`: the loads of one namespace, both faces of them."""

from __future__ import annotations

from symphra_cache._async.loads import AsyncLoads
from symphra_cache._sync.loads import SyncLoads

__all__ = ["Loads"]


class Loads(AsyncLoads, SyncLoads):
    """The loads of one namespace, whichever face they were asked for by."""
