"""One manager on each backend that lives in the process or in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from symphra_cache import CacheManager
from symphra_cache.backends import FileBackend, MemoryBackend

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["memory", "file"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CacheManager]:
    if request.param == "memory":
        backend: MemoryBackend | FileBackend = MemoryBackend()
    else:
        backend = FileBackend(tmp_path / "cache.db")
    with CacheManager(backend) as manager:
        yield manager
