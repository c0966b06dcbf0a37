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
    from symphra_cache._redis_slots import Address, SlotMap

__all__ = ["LoopNodes", "ThreadNodes"]


def _closed() -> Exception:
    from redis.exceptions import ConnectionError as LostError

    return LostError("the pool is closed")


class Look:
    """A look at a cluster of which nothing is known, that all who want one wait for.

    Args:
        event: asyncio's or threading's, set when it is over.

    Attributes:
        error: why nothing is known still, if it failed.
    """

    def __init__(self, event: Any) -> None:
        self.event: Any = event
        self.error: Exception | None = None


class _Nodes:
    def __init__(self, options: ClientOptions, cluster: Cluster) -> None:
        self._options = options
        self._cluster = cluster
        self._pools: dict[Address, Any] = {}
        self._is_closed = False
        self._tidied: SlotMap | None = None  # for this map
        self._looks: dict[str, Look] = {}  # the one under way, by no name

    def join(self, look: Look) -> Look:
        """Return the look that is under way: this one, if none was."""
        return self._looks.setdefault("", look)

    def finish(self, look: Look) -> None:
        """Have those go on who wait for it."""
        self._looks.clear()
        look.event.set()

    def tidy(self) -> None:
        """Close the connections to nodes that serve nothing any more, once after each new map."""
        # Hot path.
        if self._tidied is not self._cluster.slots:
            self._drop_idle()

    def _drop_idle(self) -> None:
        raise NotImplementedError

    def _taken_idle(self) -> list[Any]:
        """Take out the pools of such nodes; later those that lend a connection now."""
        slots = self._cluster.slots
        if slots is None:
            return []
        left = [address for address in self._pools if address not in slots.primaries]
        idle = [address for address in left if not self._pools[address].is_lending]
        if len(idle) == len(left):
            self._tidied = slots
        return [self._pools.pop(address) for address in idle]


class ThreadNodes(_Nodes):
    """Pools for threads."""

    def __init__(self, options: ClientOptions, cluster: Cluster) -> None:
        super().__init__(options, cluster)
        self._lock = threading.Lock()

    @staticmethod
    def new_look() -> Look:
        """Return a look for which threads can wait."""
        return Look(threading.Event())

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
                pool = self._options.thread_pool(self._cluster.breaker(address), address)
                self._pools[address] = pool
            return pool

    def _drop_idle(self) -> None:
        with self._lock:
            for pool in self._taken_idle():
                # Not the pool itself: another thread may be about to take one from it.
                pool.disconnect_idle()

    def close(self) -> None:
        """Close all."""
        with self._lock:
            self._is_closed = True
            for pool in self._pools.values():
                pool.close()


class LoopNodes(_Nodes):
    """Pools for the tasks of one loop."""

    @staticmethod
    def new_look() -> Look:
        """Return a look for which tasks can wait."""
        from asyncio import Event

        return Look(Event())

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
            pool = self._options.loop_pool(self._cluster.breaker(address), address)
            self._pools[address] = pool
        return pool

    def _drop_idle(self) -> None:
        for pool in self._taken_idle():
            pool.close()

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
