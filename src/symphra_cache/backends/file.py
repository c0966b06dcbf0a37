"""`FileBackend`: one SQLite file, shared by the processes of a host, survives restarts."""

from __future__ import annotations

import symphra_cache._async.file_readers as _asyncio
import symphra_cache._sync.file_readers as _blocking
from symphra_cache._async.file import AsyncFileOps
from symphra_cache._file import FileStore
from symphra_cache._frame import MAX_VALUE_BYTES
from symphra_cache._sync.file import SyncFileOps
from symphra_cache.exceptions import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from typing import Literal

    from symphra_cache._metrics import Counters
    from symphra_cache.serializers import Serializer
    from symphra_cache.types import Clock

__all__ = ["FileBackend"]


class ColdKeyspace(AsyncFileOps, SyncFileOps):
    """One namespace in a file, both faces, without the hot path."""


class FileKeyspace(ColdKeyspace):
    """One namespace in a file, both faces."""

    def __init__(self, store: FileStore, path: str, counters: Counters | None = None) -> None:
        super().__init__(store, path, counters)
        # Hot path. The readers get a keyspace of their own: one that held them would be a
        # circle. A subclass's methods stay.
        cold = ColdKeyspace(store, path, self._counters)
        if type(self).get is SyncFileOps.get:
            vars(self).update(get=_blocking.hot_reader(cold, cold.get))
        if type(self).aget is AsyncFileOps.aget:
            vars(self).update(aget=_asyncio.hot_reader(cold, cold.aget))


class FileBackend(FileKeyspace):
    """A cache in one SQLite file.

    Safe to use from any thread, any event loop, any process of the host and after ``os.fork``.
    The file is opened with the first operation, not here.

    Args:
        db_path: path of the file; missing folders are made, readable by their owner only. A
            relative path is resolved now, so a later ``chdir`` changes nothing.
        max_size: how many entries the file holds at the most, over all namespaces; ``None`` for
            no bound. Beyond it the least recently written go, expired ones first where they are
            among the 16 oldest. Each process keeps to its own bound when it writes, so give all
            that share a file the same. A file above its bound gives up at least 256 entries with
            each write until it fits.
        max_bytes: how many bytes the file takes at the most, at least 65,536; ``None`` for no
            bound. Its log (``-wal``) comes on top: usually 16 MiB, more while a long read lasts.
        durability: ``"normal"``: every acknowledged write survives the death of the process,
            the last moments may be lost with the power; ``"full"``: they survive that too, at
            a sixth of the speed. The file is never left corrupt.
        busy_timeout: seconds that a write waits for other processes before it raises
            `BackendUnavailableError`.
        serializer: how values are written; ``MessagePackSerializer()`` by default.
        max_value_bytes: a value larger than this, serialized, is refused.
        hot_size: how many values are also kept in memory, where a read takes a tenth of the
            time. They are never served when they are out of date, whoever wrote to the file.
            Values of more than 32 KiB are not kept.
        warm: fills the hot tier here and now, so this blocks; ``await backend.areload()`` does it
            in asyncio. A function is called with the number of entries loaded so far. Without
            it the hot tier fills as entries are read.
        clock: where time comes from; for tests, see `symphra_cache.testing.FakeClock`.

    Raises:
        ConfigurationError: an argument is wrong.
        ForeignFileError: the path holds something that is not a cache of ours.
    """

    kind: str = "file"

    def __init__(
        self,
        db_path: str | os.PathLike[str],
        *,
        max_size: int | None = None,
        max_bytes: int | None = None,
        durability: Literal["normal", "full"] = "normal",
        busy_timeout: float = 5.0,
        serializer: Serializer | None = None,
        max_value_bytes: int = MAX_VALUE_BYTES,
        clock: Clock | None = None,
        hot_size: int = 100_000,
        warm: bool | Callable[[int], object] = False,
    ) -> None:
        store = FileStore(
            db_path,
            durability,
            busy_timeout,
            serializer,
            max_value_bytes,
            clock,
            hot_size,
            max_size,
            max_bytes,
        )
        super().__init__(store, "")
        if not isinstance(warm, bool) and not callable(warm):
            raise ConfigurationError(
                f"warm must be a bool or a function of the number of entries loaded, got "
                f"{type(warm).__name__}"
            )
        if warm:
            self.reload(warm if callable(warm) else None)

    def keyspace(self, path: str, counters: Counters) -> FileKeyspace:
        """Return the view on a namespace that counts into ``counters``."""
        return FileKeyspace(self._store, path, counters)

    def __repr__(self) -> str:
        return f"FileBackend({self._store.path!r})"
