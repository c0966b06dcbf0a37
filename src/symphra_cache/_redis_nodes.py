"""The pools of a cluster's nodes: made with the first command for a node, one pair of classes.

For `symphra_cache._redis_loops.Pools` such a set is one pool, closed or left as a whole.
"""

from __future__ import annotations

import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from typing import Any

    from symphra_cache._redis_cluster import Cluster
    from symphra_cache._redis_options import ClientOptions
    from symphra_cache._redis_slots import Address

__all__ = ["LoopNodes", "ThreadNodes"]


def _closed() -> Exception:
    from redis.exceptions import ConnectionError as LostError

    return LostError("the pool is closed")


class _Nodes:
    def __init__(self, options: ClientOptions, cluster: Cluster) -> None:
        self._options = options
        self._cluster = cluster
        self._pools: dict[Address, Any] = {}
        self._is_closed = False

    def _taken_gone(self) -> list[Any]:
        """Take out the pools of nodes that have left, before others are made."""
        gone = [address for address in self._pools if self._cluster.is_gone(address)]
        return [self._pools.pop(address) for address in gone]


class ThreadNodes(_Nodes):
    """Pools for threads."""

    def __init__(self, options: ClientOptions, cluster: Cluster) -> None:
        super().__init__(options, cluster)
        self._lock = threading.Lock()

    def pool(self, address: Address) -> Any:
        """Return the pool of a node.

        Raises:
            redis.ConnectionError: all were closed.
        """
        # Hot path.
        return self._pools.get(address) or self._made(address)

    def _made(self, address: Address) -> Any:
        with self._lock:
            if self._is_closed:
                raise _closed()
            pool = self._pools.get(address)
            if pool is None:
                for other in self._taken_gone():
                    other.close()
                pool = self._options.thread_pool(self._cluster.breaker(address), address)
                self._pools[address] = pool
            return pool

    def close(self) -> None:
        """Close all."""
        with self._lock:
            self._is_closed = True
            for pool in self._pools.values():
                pool.close()


class LoopNodes(_Nodes):
    """Pools for the tasks of one loop."""

    def pool(self, address: Address) -> Any:
        """Return the pool of a node.

        Raises:
            redis.ConnectionError: all were closed.
        """
        # Hot path.
        pool = self._pools.get(address)
        if pool is None:
            if self._is_closed:
                raise _closed()
            for other in self._taken_gone():
                other.close()
            pool = self._options.loop_pool(self._cluster.breaker(address), address)
            self._pools[address] = pool
        return pool

    def close(self) -> None:
        """Close all, on their loop."""
        self._is_closed = True
        for pool in self._pools.values():
            pool.close()

    async def aclose(self) -> None:
        """Close all, and wait until they are closed."""
        self._is_closed = True
        for pool in list(self._pools.values()):
            await pool.aclose()

    def leave(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Close all without the help of their loop; see `LoopPool.leave`."""
        self._is_closed = True
        for pool in self._pools.values():
            pool.leave(loop)

    def disinherit(self) -> None:
        """Close the sockets of all in a forked child."""
        self._is_closed = True
        for pool in self._pools.values():
            pool.disinherit()
