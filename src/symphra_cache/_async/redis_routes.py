# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""How commands reach Redis: a single server, or the nodes of a cluster.

Commands are sent on the pools' connections themselves. redis-py's own clients send a command
anew whose connection broke, though it may have been applied.
"""

from __future__ import annotations

from copy import copy
from functools import partial

from symphra_cache._redis_cluster import ClusterCall
from symphra_cache._redis_deployment import Routes
from symphra_cache._redis_errors import client_errors, is_refusal
from symphra_cache._redis_scan import BATCH, ClusterScan, ServerScan
from symphra_cache._redis_slots import slot_of
from symphra_cache._redis_unsent import is_unsent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from typing import Any

    from symphra_cache._redis_cluster import Batch
    from symphra_cache._redis_scripts import Script
    from symphra_cache._redis_slots import Address

__all__ = ["AsyncManyServers", "AsyncOneServer"]


class AsyncServers(Routes):
    """What ways to one server and to many have in common: the talk with one of them."""

    async def _aexchange_many(self, pool: Any, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """Send many commands at once; return the replies, with errors in their places."""
        replies: list[Any] = []
        try:
            connection = await pool.get_connection()
            try:
                await pool.send(connection, connection.pack_commands(commands))
                await pool.read_replies(connection, len(commands), replies)
            except BaseException as error:
                await pool.note(connection, error)
                raise
            finally:
                await pool.release(connection)
        except client_errors() as error:
            return replies + [error] * (len(commands) - len(replies))
        pool.breaker.succeeded()
        return replies

    async def _apages_of(
        self, pool_of: Callable[[], Any], pattern: bytes
    ) -> AsyncIterator[list[bytes]]:
        """Yield names that match on one server, some of them perhaps twice.

        Args:
            pool_of: returns its pool, which may be another one with each page.
            pattern: what the names match.
        """
        scan = ServerScan(pattern)
        while not scan.is_over:
            if names := scan.read(*await self._aexchange_many(pool_of(), scan.commands())):
                yield names


class AsyncOneServer(AsyncServers):
    """The way to one server, or to the master that sentinels name.

    Bulk calls return an answer for each name; in the place of one that could not be had stands
    the error.
    """

    async def acall(self, name: bytes, *command: Any) -> Any:
        """Send a command about a name; return the reply."""
        return await (await self._pools.apool()).exchange(*command)

    async def arun(self, script: Script, name: bytes, *arguments: Any) -> Any:
        """Run a script on a name, sending its text if the server does not know it yet."""
        return await self._arun(script, [name], *arguments)

    async def _arun(self, script: Script, names: list[bytes], *arguments: Any) -> Any:
        pool = await self._pools.apool()
        rest = (len(names), *names, *arguments)
        try:
            return await pool.exchange("EVALSHA", script.digest, *rest)
        except client_errors() as error:
            if not is_refusal(error, "NOSCRIPT"):
                raise
        return await pool.exchange("EVAL", script.text, *rest)

    async def aget_all(self, names: list[bytes]) -> list[Any]:
        """Return what stands under the names; another type counts as nothing."""
        try:
            replies = await (await self._pools.apool()).exchange("MGET", *names)
        except client_errors() as error:
            return [error] * len(names)
        return list(replies)

    async def arun_all(self, script: Script, names: list[bytes]) -> list[Any]:
        """Run a script that takes many names and answers for each; in batches."""
        replies: list[Any] = []
        while len(replies) < len(names):
            batch = names[len(replies) : len(replies) + BATCH]
            try:
                replies += await self._arun(script, batch)
            except client_errors() as error:
                # The rest would fail as well, each batch after its time-out.
                replies += [error] * (len(names) - len(replies))
        return replies

    async def asend_all(self, names: list[bytes], commands: list[tuple[Any, ...]]) -> list[Any]:
        """Send a command about each name."""
        return await self._aexchange_many(await self._pools.apool(), commands)

    async def apages(self, pattern: bytes) -> AsyncIterator[list[bytes]]:
        """Yield the names that match, some of them perhaps twice."""
        pool = await self._pools.apool()
        async for names in self._apages_of(lambda: pool, pattern):
            yield names

    async def aping(self) -> None:
        """Have the server answer."""
        await self.acall(b"", "PING")


class AsyncManyServers(AsyncServers):
    """The way to the nodes of a cluster; the same operations as for one server.

    Each command is about one name, so it can go to the node of that name's slot. What a call
    has for a node goes there in one packet; all nodes are sent theirs before any is waited for.
    """

    async def acall(self, name: bytes, *command: Any) -> Any:
        """Send a command about a name; return the reply."""
        # Hot path: what a bulk call does, as long as nothing is out of the ordinary.
        cluster = self._cluster
        address = None if cluster.is_stale else cluster.owner(slot_of(name))
        if address is None:
            return _only(await self.asend_all([name], [command]))
        nodes = await self._pools.apool()
        nodes.tidy()
        until = cluster.deadline()
        try:
            return await nodes.pool(address).exchange(*command)
        except client_errors() as error:
            call = ClusterCall(cluster, [name], [command], until)
            call.take_up(address, error)
        return _only(await self._afinish(nodes, call))

    async def arun(self, script: Script, name: bytes, *arguments: Any) -> Any:
        """Run a script on a name, sending its text if its node does not know it yet."""
        try:
            return await self.acall(name, "EVALSHA", script.digest, 1, name, *arguments)
        except client_errors() as error:
            if not is_refusal(error, "NOSCRIPT"):
                raise
        return await self.acall(name, "EVAL", script.text, 1, name, *arguments)

    async def _arun_each(self, script: Script, names: list[bytes], *arguments: Any) -> list[Any]:
        commands = [("EVALSHA", script.digest, 1, name, *arguments) for name in names]
        replies = await self.asend_all(names, commands)
        unknown = [
            place
            for place, reply in enumerate(replies)
            if isinstance(reply, Exception) and is_refusal(reply, "NOSCRIPT")
        ]
        again = [names[place] for place in unknown]
        texts = [("EVAL", script.text, 1, name, *arguments) for name in again]
        for place, reply in zip(unknown, await self.asend_all(again, texts), strict=True):
            replies[place] = reply
        return replies

    async def aget_all(self, names: list[bytes]) -> list[Any]:
        """Return what stands under the names; another type counts as nothing."""
        replies = await self.asend_all(names, [("GET", name) for name in names])
        return [
            None if isinstance(reply, Exception) and is_refusal(reply, "WRONGTYPE") else reply
            for reply in replies
        ]

    async def arun_all(self, script: Script, names: list[bytes]) -> list[Any]:
        """Run a script that takes many names and answers for each."""
        replies = await self._arun_each(script, names)
        return [reply if isinstance(reply, Exception) else reply[0] for reply in replies]

    async def asend_all(
        self, names: Sequence[bytes], commands: Sequence[tuple[Any, ...]]
    ) -> list[Any]:
        """Send a command about each name."""
        if not names:
            return []
        nodes = await self._pools.apool()
        until = self._cluster.deadline()
        try:
            await self._arefresh(nodes, until)
        except client_errors() as error:
            return [error] * len(names)
        return await self._afinish(nodes, ClusterCall(self._cluster, names, commands, until))

    async def _afinish(self, nodes: Any, call: ClusterCall) -> list[Any]:
        """Send what is due, on and on, until nothing is left to send."""
        while True:
            if call.has_unsent:
                await self._arefresh(nodes, call.until)
                call.reroute()
            if call.is_done:
                return call.replies
            await self._aturn(nodes, call)

    async def _aturn(self, nodes: Any, call: ClusterCall) -> None:
        """Send to each node what is due, then read from each."""
        lent: list[tuple[Batch, Any, Any]] = []
        try:
            for batch in call.batches():
                await self._asend(nodes, call, batch, lent)
            for batch, pool, connection in lent:
                await self._aread(call, batch, pool, connection)
        finally:
            for batch, pool, connection in lent:
                if not batch.is_read:
                    await pool.drop(connection)
                    await pool.release(connection)

    async def _asend(
        self, nodes: Any, call: ClusterCall, batch: Batch, lent: list[tuple[Batch, Any, Any]]
    ) -> None:
        try:
            call.check_time()
            pool = nodes.pool(batch.address)
            connection = await pool.get_connection()
        except client_errors() as error:
            call.unsent(batch, error)
            return
        lent.append((batch, pool, connection))
        call.succeed()
        try:
            await pool.send(connection, connection.pack_commands(batch.commands))
        except client_errors() as error:
            if is_unsent(error):
                call.unsent(batch, error)
                return
            pool.breaker.failed(error)
            call.lost(batch, [], error)
        else:
            call.succeed()

    async def _aread(self, call: ClusterCall, batch: Batch, pool: Any, connection: Any) -> None:
        if batch.is_lost:
            return
        replies: list[Any] = []
        count = len(batch.commands)
        try:
            await pool.read_replies(connection, count, replies, is_late=call.begin())
        except client_errors() as error:
            pool.breaker.failed(error)
            call.lost(batch, replies, error)
        else:
            # At once, for others may wait for it while the next node lets us wait.
            batch.is_read = True
            await pool.release(connection)
            pool.breaker.succeeded()
            call.succeed()
            call.answered(batch, replies)

    async def _arefresh(self, nodes: Any, until: float) -> None:
        """Find out who serves what, if that is wanted and nobody else is at it.

        Raises:
            redis.RedisError: nothing at all is known of the cluster, and nobody told.
        """
        nodes.tidy()
        if self._cluster.slots is None:
            await self._alook_first(nodes, until)
        elif self._cluster.may_refresh():
            await self._alook(nodes, until)

    async def _alook_first(self, nodes: Any, until: float) -> None:
        """Find out who serves what while nothing is known: one does, the others wait for it.

        Who is cancelled leaves it to another.
        """
        while self._cluster.slots is None:
            mine = nodes.new_look()
            look = nodes.join(mine)
            if look is not mine:
                await look.event.wait()
                if look.error is not None:
                    raise copy(look.error)
                continue
            try:
                self._cluster.may_refresh()
                await self._alook(nodes, until)
            except client_errors() as error:
                look.error = error
                raise
            finally:
                nodes.finish(look)
            return

    async def _alook(self, nodes: Any, until: float) -> None:
        refresh = self._cluster.refresh(until)
        for address in refresh:
            try:
                reply = await nodes.pool(address).exchange("CLUSTER", "SLOTS")
                refresh.learn(reply)
            except client_errors() as error:
                refresh.failed(error)
        nodes.tidy()

    async def apages(self, pattern: bytes) -> AsyncIterator[list[bytes]]:
        """Yield the names that match, some of them perhaps twice, from all primaries."""
        nodes = await self._pools.apool()
        scan = ClusterScan()
        scan.look(await self._alayout(nodes))
        while not scan.is_over:
            for address in scan.due():
                async for names in self._apages_of(partial(nodes.pool, address), pattern):
                    yield names
            scan.look(await self._alayout(nodes))

    async def _alayout(self, nodes: Any) -> list[tuple[Address, Any]]:
        """Ask each primary how it sees the cluster."""
        self._cluster.look_again()
        await self._arefresh(nodes, self._cluster.deadline())
        return [
            (address, await nodes.pool(address).exchange("CLUSTER", "NODES"))
            for address in self._cluster.primaries
        ]

    async def aping(self) -> None:
        """Have every primary answer."""
        nodes = await self._pools.apool()
        await self._arefresh(nodes, self._cluster.deadline())
        for address in self._cluster.primaries:
            await nodes.pool(address).exchange("PING")


def _only(replies: list[Any]) -> Any:
    """Return the only reply, or raise it if it is an error."""
    (reply,) = replies
    if isinstance(reply, Exception):
        raise reply
    return reply
