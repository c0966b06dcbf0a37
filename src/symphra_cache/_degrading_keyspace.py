"""`DegradingKeyspace`: what a manager with ``on_outage="degrade"`` uses, both faces of it."""

from __future__ import annotations

from symphra_cache._async.degrading import AsyncDegradingOps
from symphra_cache._sync.degrading import SyncDegradingOps

__all__ = ["DegradingKeyspace"]


class DegradingKeyspace(AsyncDegradingOps, SyncDegradingOps):
    """One namespace of a backend that may be out of reach."""
