"""Every backend offers what `symphra_cache.backends.base` promises of it, in both faces."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import pytest

from symphra_cache.backends import FileBackend, MemoryBackend, NullBackend, RedisBackend
from symphra_cache.backends.base import Backend, Keyspace

if TYPE_CHECKING:
    from pathlib import Path


def promised(protocol: type) -> set[str]:
    return {name for name in dir(protocol) if not name.startswith("_")}


@pytest.mark.parametrize("made", [FileBackend, MemoryBackend, NullBackend, RedisBackend])
def test_a_backend_has_every_method_with_its_parameters(made: type, tmp_path: Path) -> None:
    arguments = (tmp_path / "cache.db",) if made is FileBackend else ()
    backend = made(*arguments)
    assert promised(Keyspace) < promised(Backend)
    for name in promised(Backend) - {"kind"}:
        wanted = list(inspect.signature(getattr(Backend, name)).parameters)[1:]
        assert list(inspect.signature(getattr(backend, name)).parameters) == wanted
    assert backend.kind == made.__name__.removesuffix("Backend").lower()
