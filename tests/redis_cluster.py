"""A real Redis Cluster for the tests: three primaries and three replicas on loopback ports.

Each node is a server of `redis_servers`, with a guard of its own, so that all of them end with
the process that started them, whatever happens. `shared_cluster` is one for the whole session,
made whole and empty by its `fresh`; tests that need their own use `running_cluster`.
"""

from __future__ import annotations

import functools
from collections import Counter
from contextlib import contextmanager
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import redis
from redis.crc import key_slot

from redis_servers import (
    HOST,
    QUICK_REPLICATION,
    RedisServer,
    RedisServerError,
    patient,
    until,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SLOTS = 16_384
PRIMARIES = 3
SECONDS_TO_FORM = 60
KEYS_AT_ONCE = 100

# What a node is told unless a test says otherwise.
SETTINGS: dict[str, object] = QUICK_REPLICATION | {
    "cluster-enabled": "yes",
    "cluster-config-file": "nodes.conf",
    "cluster-node-timeout": 1000,
    "cluster-announce-ip": HOST,
    # A dead primary's slots fail alone, and its replica takes them over however long it was cut
    # off; nothing moves to other primaries by itself.
    "cluster-require-full-coverage": "no",
    "cluster-replica-validity-factor": 0,
    "cluster-migration-barrier": 100,
}


class Peer(NamedTuple):
    """What one node says of another, or of itself."""

    flags: frozenset[str]
    primary: str
    slots: tuple[tuple[int, int], ...]

    @property
    def role(self) -> str:
        return "primary" if "master" in self.flags else "replica"

    def holds(self, slot: int) -> bool:
        return any(first <= slot <= last for first, last in self.slots)


def peers(told: str) -> dict[str, Peer]:
    """Read the reply of ``CLUSTER NODES``, by the nodes' ids."""
    found: dict[str, Peer] = {}
    for line in told.splitlines():
        name, _, flags, primary, _, _, _, _, *slots = line.split()
        # In brackets stand those on their way.
        bounds = [text.split("-") for text in slots if text[0] != "["]
        ranges = tuple((int(bound[0]), int(bound[-1])) for bound in bounds)
        found[name] = Peer(frozenset(flags.split(",")), primary, ranges)
    return found


def seen(view: dict[str, Peer], names: set[str]) -> dict[str, Peer]:
    """Return what is said of some nodes, as they would say it of themselves.

    It differs between two nodes while one suspects the other to be dead.
    """
    told = ((name, peer) for name, peer in view.items() if name in names)
    return {name: peer._replace(flags=peer.flags - {"myself"}) for name, peer in told}


class ClusterNode(RedisServer):
    """One node; see `RedisServer`. Its role and slots are what it says of itself."""

    @cached_property
    def id(self) -> str:
        return str(self.command("CLUSTER", "MYID").decode())

    @property
    def role(self) -> str:
        """``"primary"``, ``"replica"``, or ``"down"`` if it can't say."""
        return self.peers()[self.id].role if self.answers else "down"

    @property
    def slots(self) -> list[int]:
        """The slots that it serves, none if it is down."""
        ranges = self.peers()[self.id].slots if self.answers else ()
        return [slot for first, last in ranges for slot in range(first, last + 1)]

    def peers(self) -> dict[str, Peer]:
        """Return how it sees the cluster, by the nodes' ids."""
        return peers(self.command("CLUSTER", "NODES").decode())

    def is_settled(self) -> bool:
        """Tell whether it serves its slots or, as a replica, follows its primary."""
        if b"cluster_state:ok" not in self.command("CLUSTER", "INFO"):
            return False
        role, *told = self.command("ROLE")
        return bool(role == b"master" or told[2] == b"connected")


class RedisCluster:
    """Six nodes, formed and at work, which can be killed, paused and started again.

    They keep nothing on disk but who they are: a killed primary that is started again before its
    replica has taken over comes back empty, and empties the replica. So after `kill` call
    `wait_ok`, then `restart`. They are reached without TLS: the ports that they tell clients of
    each other are the plain ones.

    Args:
        config: further lines of each node's configuration, as for `RedisServer`.
    """

    def __init__(self, **config: object) -> None:
        named = {name.replace("_", "-"): value for name, value in config.items()}
        self.nodes: list[ClusterNode] = []
        try:
            for _ in range(2 * PRIMARIES):
                self.nodes.append(ClusterNode(**(SETTINGS | named)))
            self._form()
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        """Address of one node that answers; it knows the others."""
        return self._answering()[0].url

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Addresses of all nodes, those that are down too."""
        return [node.address for node in self.nodes]

    @property
    def chosen_url(self) -> str:
        """What a backend takes: all nodes, with time-outs for a busy machine."""
        nodes = ",".join(f"{host}:{port}" for host, port in self.addresses)
        return patient(f"redis+cluster://{nodes}")

    @property
    def primaries(self) -> list[ClusterNode]:
        return [node for node in self.nodes if node.role == "primary"]

    @property
    def replicas(self) -> list[ClusterNode]:
        return [node for node in self.nodes if node.role == "replica"]

    def primary_of(self, key: str | bytes) -> ClusterNode:
        """Return the node that serves a key, by what most nodes say; it may be down by now."""
        slot = key_slot(key.encode() if isinstance(key, str) else key)
        votes = Counter(
            name
            for node in self._answering()
            for name, peer in node.peers().items()
            if peer.holds(slot)
        )
        if not votes:
            raise RedisServerError(f"nobody serves slot {slot}")
        return self._node(votes.most_common(1)[0][0])

    def replica_of(self, primary: ClusterNode) -> ClusterNode:
        """Return the replica of a primary."""
        return next(node for node in self.replicas if node.peers()[node.id].primary == primary.id)

    def command(self, *words: Any) -> Any:
        """Run a command past the cache: where its key belongs, ``KEYS`` everywhere."""
        if words[0] == "KEYS":
            return [name for node in self.primaries for name in node.command(*words)]
        return self.primary_of(words[1]).command(*words)

    def kill(self, node: ClusterNode) -> None:
        """End a node without a chance to do anything."""
        node.kill()

    def restart(self, node: ClusterNode) -> None:
        """Start a killed node again, as the one it was; see `wait_ok`."""
        node.start()

    def pause(self, node: ClusterNode) -> None:
        """Stop a node from answering; its connections stay."""
        node.pause()

    def resume(self, node: ClusterNode) -> None:
        node.resume()

    def fresh(self) -> Self:
        """Make it whole and empty, for the next test. Slots stay where they are."""
        for node in self.nodes:
            if node.paused:
                node.resume()
            if not node.running:
                # Its slots may hold nothing any more, which is what is wanted.
                node.start()
        try:
            self.wait_ok()
        except RedisServerError:
            # One test fails of it, not all that follow as well.
            self.close()
            shared_cluster.cache_clear()
            raise
        for node in self.primaries:
            node.fresh()
        return self

    def emptied(self) -> Self:
        """Empty it, and do nothing else if nothing else needs to be done."""
        try:
            for node in self.nodes[:PRIMARIES]:
                node.fresh()
        except redis.RedisError:  # one is down, or a replica by now
            return self.fresh()
        return self

    def wait_ok(self, timeout: float = SECONDS_TO_FORM) -> Self:
        """Wait until every slot is served again and nothing is on the move.

        Then all nodes that answer agree on who is a primary, who follows whom and who serves
        which slots, each of which has a primary that answers; and their replicas are attached.
        """
        until(self._is_ok, timeout, self._state)
        return self

    def migrate_slots(self, slots: Iterable[int], source: ClusterNode, target: ClusterNode) -> None:
        """Move slots with their keys from one primary to another, while clients use them.

        Not the last slot of a primary: without any it becomes a replica.
        """
        # Else a node that has not heard of an earlier move of these slots yet may overrule this
        # one, and each of the two primaries then thinks that they are the other's, for good.
        self.wait_ok()
        others = [node for node in self.primaries if node not in (source, target)]
        for slot in slots:
            target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
            source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id)
            # From here on the source makes no new key in it, so this ends.
            while keys := source.command("CLUSTER", "GETKEYSINSLOT", slot, KEYS_AT_ONCE):
                source.command("MIGRATE", *target.address, "", 0, 10_000, "KEYS", *keys)
            # The new owner first: in between two owners serve the slot, never none.
            for node in (target, source, *others):
                node.command("CLUSTER", "SETSLOT", slot, "NODE", target.id)

    def close(self) -> None:
        """End all nodes and remove their folders."""
        for node in self.nodes:
            node.close()

    def _node(self, name: str) -> ClusterNode:
        return next(node for node in self.nodes if node.id == name)

    def _answering(self) -> list[ClusterNode]:
        found = [node for node in self.nodes if node.answers]
        if not found:
            raise RedisServerError("no node of the cluster answers")
        return found

    def _form(self) -> None:
        for number, node in enumerate(self.nodes):
            # Different ones, else the primaries would have to sort that out among themselves.
            node.command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        primaries, replicas = self.nodes[:PRIMARIES], self.nodes[PRIMARIES:]
        for number, node in enumerate(primaries):
            share = range(number * SLOTS // PRIMARIES, (number + 1) * SLOTS // PRIMARIES)
            # One by one: the ranges of ADDSLOTSRANGE came with 7.0.
            node.command("CLUSTER", "ADDSLOTS", *share)
        until(self._introduced, SECONDS_TO_FORM, self._state)
        for primary, replica in zip(primaries, replicas, strict=True):
            replica.command("CLUSTER", "REPLICATE", primary.id)
        self.wait_ok()

    def _introduced(self) -> bool:
        """Have nodes meet whom they don't know; tell whether they all know each other.

        Again and again, for a handshake that takes a busy machine too long is forgotten.
        """
        known = {node: node.peers().keys() for node in self.nodes}
        strangers = [
            (first, second)
            for first, second in combinations(self.nodes, 2)
            if second.id not in known[first] or first.id not in known[second]
        ]
        for first, second in strangers:
            first.command("CLUSTER", "MEET", *second.address)
        return not strangers

    def _is_ok(self) -> bool:
        nodes = self._answering()
        names = {node.id for node in nodes}
        layout, *others = [seen(node.peers(), names) for node in nodes]
        served = sum(last - first + 1 for peer in layout.values() for first, last in peer.slots)
        return (
            layout.keys() == names
            and all(other == layout for other in others)
            and served == SLOTS
            and all(node.is_settled() for node in nodes)
        )

    def _state(self) -> str:
        """Describe the cluster, for whoever waited for it in vain."""
        node = self._answering()[0]
        told = node.command("CLUSTER", "INFO") + node.command("CLUSTER", "NODES")
        return f"{told.decode()}\n{node.log()}"


@contextmanager
def running_cluster(**config: object) -> Iterator[RedisCluster]:
    """Run a cluster of one's own; see `RedisCluster`."""
    cluster = RedisCluster(**config)
    try:
        yield cluster
    finally:
        cluster.close()


@functools.cache
def shared_cluster() -> RedisCluster:
    """Return the session's cluster. Call its `fresh` first, which mends what a test broke."""
    return RedisCluster()
