"""Tools for testing programs that cache."""

from __future__ import annotations

from symphra_cache.testing.clock import FakeClock

__all__ = ["FakeClock"]
