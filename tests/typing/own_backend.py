"""Checked by type checkers, never run: a backend of one's own, around or beside ours."""

from __future__ import annotations

from pathlib import Path
from typing import assert_type

from symphra_cache import CacheManager
from symphra_cache.backends import FileBackend, MemoryBackend, NullBackend
from symphra_cache.backends.base import Backend, Keyspace
from symphra_cache.testing import FakeClock
from symphra_cache.types import Clock


def ours_are_backends(folder: Path) -> None:
    backends: list[Backend] = [MemoryBackend(), NullBackend(), FileBackend(folder / "cache.db")]
    keyspaces: list[Keyspace] = [*backends]
    for backend in backends:
        assert_type(backend.kind, str)
        CacheManager(backend)
    for keyspace in keyspaces:
        assert_type(keyspace.get_many(["a"]).popitem()[0], str)


class Louder(MemoryBackend):
    """One of ours with more to say."""

    def ping(self) -> str:
        return super().ping().upper()


class Half:
    """Has no asyncio face."""

    kind = "half"

    def get(self, key: str, default: object = None) -> object:
        return default


def own_ones_are_checked(clock: Clock) -> None:
    CacheManager(Louder(max_size=None, isolation="shared", clock=clock))
    CacheManager(Half())  # type: ignore[arg-type]
    CacheManager(Louder(), on_outage="degrade")
    CacheManager(Louder(), on_outage="ignore")  # type: ignore[arg-type]
    MemoryBackend(clock=FakeClock())
    MemoryBackend(clock=object())  # type: ignore[arg-type]
