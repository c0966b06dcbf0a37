"""The near cache of one backend: its table, its links, and how a value is kept."""

from __future__ import annotations

import weakref

from symphra_cache._isolation import flat
from symphra_cache._redis_near import NearCache, NearTable
from symphra_cache._redis_tracking import Tracking
from symphra_cache.exceptions import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from symphra_cache._frame import FrameCodec
    from symphra_cache._redis_deployment import Deployment
    from symphra_cache._redis_near import Kept, Mark

__all__ = ["Near"]

# Bytes. Of larger values ten thousand would fill the memory.
_LARGEST = 32 * 1024


class Near:
    """The near cache of a backend, as its keyspaces use it.

    Args:
        settings: its bounds.
        deployment: the servers.
        codec: reads the frames of values that can't be shared or copied.

    Raises:
        ConfigurationError: no connections can be made to the servers.
    """

    def __init__(self, settings: object, deployment: Deployment, codec: FrameCodec) -> None:
        if not isinstance(settings, NearCache):
            raise ConfigurationError(
                f"near_cache must be a NearCache or None, got {type(settings).__name__}; "
                "write near_cache=NearCache()"
            )
        if deployment.link_connection is None:
            raise ConfigurationError(
                "near_cache needs connections of its own, so it can't stand beside an injected "
                "client; give url, or host and port"
            )
        self.table: NearTable = NearTable(settings)
        self._thaw = _thawing(codec)
        self._tracking = Tracking(
            deployment.link_connection,
            deployment.cluster,
            self.table,
            deployment.where,
            deployment.secrets,
        )
        # When nobody uses the backend any more, and at the end of the program.
        weakref.finalize(self, self._tracking.close)

    def mark(self, name: bytes, prefix: bytes) -> Mark | None:
        """Announce a read; `fill` follows. ``None``: what comes can't be kept."""
        # Before the way is looked up, so that a change between the two is noticed.
        version = self._tracking.version
        epoch = self._tracking.epoch(name, prefix)
        return None if epoch is None else self.table.mark(name, epoch, version)

    def fill(
        self,
        name: bytes,
        mark: Mark | None,
        kept: Kept | None,
        left: int = -1,
        reply: object = None,
    ) -> None:
        """Keep what was read, if it is not out of date; see `NearTable.fill`."""
        if mark is not None:
            self.table.fill(name, mark, kept, left, reply, version=self._tracking.version)

    def kept(self, name: bytes, value: object, frame: bytes, left: int) -> Kept | None:
        """Return what to keep of a value: itself, or the frame that it is made of each time.

        Args:
            name: of the entry.
            value: what was read.
            frame: how it stands on the server.
            left: the milliseconds that it lives, -1 for ever.
        """
        if (left <= 0 and left != -1) or len(frame) > _LARGEST:
            return None
        return flat(value) or ((name, frame), self._thaw)

    def close(self) -> None:
        """Serve nothing any more; end the links."""
        self._tracking.close()


def _thawing(codec: FrameCodec) -> Callable[[tuple[bytes, bytes]], object]:
    """Return what decodes a name's frame; entries hold it, so it must not hold the near cache."""
    decode = codec.decode
    return lambda named: decode(*named)
