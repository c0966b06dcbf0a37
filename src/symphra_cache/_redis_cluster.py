"""What is known of a cluster, and how one call finds its way through it. No I/O here.

A command goes to the primary of its name's slot. A node that does not serve the slot says who
does (``MOVED``) or who may, while the slot is on its way (``ASK``); as it has not run the command
then, the command is sent again, to that node. What was sent and got no answer is not.
"""

from __future__ import annotations

from random import sample
from time import monotonic

from symphra_cache._redis_breaker import NodeBreaker
from symphra_cache._redis_errors import is_answer
from symphra_cache._redis_slots import read_slots, slot_of, told_host
from symphra_cache._redis_unsent import is_unsent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from symphra_cache._redis_breaker import CircuitBreaker
    from symphra_cache._redis_slots import Address, SlotMap

__all__ = ["Batch", "Cluster", "ClusterCall"]

# Seconds between two looks at who serves what, however many calls want one.
_REFRESH_AFTER = 0.25
# So many primaries are asked for the map before the addresses that the program gave.
_ASKED = 2
# How often a command may be sent on. Each time, a node has told where to.
_ROUNDS = 8


class Cluster:
    """What is known of a cluster; shared by threads, loops and both faces.

    Args:
        seeds: some of its nodes.
        breaker: when the circuit to a node opens.
        seconds: that a call may take.

    Attributes:
        slots: who serves what, ``None`` if nothing is known.
        is_stale: whether that may be out of date.
        version: rises whenever a node sent a command on, for good or for once, before the command
            is sent there, and whenever a map is learned that differs from what was known. So a
            reply has come from the node that served its name when the call began, as far as was
            known then, if this is what it was then.
    """

    def __init__(
        self, seeds: Sequence[Address], breaker: CircuitBreaker | None, seconds: float
    ) -> None:
        self._seconds = seconds
        self.slots: SlotMap | None = None
        self.is_stale: bool = True
        self.version: int = 0
        self._seeds: list[Address] = list(seeds)
        self._settings = breaker
        self._breakers: dict[Address, NodeBreaker] = {}
        self._refresh_at: float = 0.0

    def breaker(self, address: Address) -> NodeBreaker:
        """Return the circuit of a node."""
        found = self._breakers.get(address)
        if found is None:
            host, port = address
            found = NodeBreaker(self._settings, f"{host}:{port}")
            found = self._breakers.setdefault(address, found)
        return found

    def owner(self, slot: int) -> Address | None:
        """Return the primary of a slot, as far as is known."""
        return None if self.slots is None else self.slots.owners[slot]

    def look_again(self) -> None:
        """Have the next call fetch a new map, however new the last one is."""
        self.is_stale, self._refresh_at = True, 0.0

    def may_refresh(self) -> bool:
        """Tell whether the caller is the one to fetch a new map now.

        Two threads may both be; that does no harm. One that is cancelled owes nothing.
        """
        now = monotonic()
        if self.slots is not None and (not self.is_stale or now < self._refresh_at):
            return False
        self._refresh_at = now + _REFRESH_AFTER
        return True

    @property
    def primaries(self) -> list[Address]:
        """The nodes that serve slots, as far as is known."""
        return [] if self.slots is None else sorted(self.slots.primaries)

    def deadline(self) -> float:
        """Return when a call must be over that begins now, on the monotonic clock."""
        return monotonic() + self._seconds

    def refresh(self, until: float) -> Refresh:
        """Return whom to ask for a map until the deadline, one by one until one answers."""
        if self.slots is not None:
            # What is known may do. So a single silent node is waited for, no second one.
            until = min(until, monotonic() + self._seconds / 4)
        # Who has failed of late may take a whole time-out.
        primaries = [one for one in self.primaries if not self.breaker(one).has_failed]
        first = sample(primaries, min(_ASKED, len(primaries)))
        others = [seed for seed in self._seeds if seed not in first]
        others.sort(key=lambda seed: self.breaker(seed).has_failed)
        return Refresh(self, [*first, *others], until)

    def note_silent(self, address: Address) -> None:
        """Ask the other seeds first from now on."""
        if address in self._seeds:
            self._seeds = [*(seed for seed in self._seeds if seed != address), address]

    def learn(self, slots: SlotMap) -> None:
        """Take a new map."""
        is_new = self.slots is None or self.slots.owners != slots.owners
        self.slots, self.is_stale = slots, False
        # After the map: who sees the old number, but the new map, is told of a change in vain.
        self.version += is_new

    def note_redirect(self, slot: int, address: Address, *, is_for_good: bool) -> None:
        """Note that a node has sent a command on; take a slot's new owner from who had it."""
        if is_for_good and self.slots is not None:
            self.slots.owners[slot] = address
            # More may have changed.
            self.is_stale = True
        self.version += 1


class Refresh:
    """One look at who serves what: the nodes to ask, in turn."""

    def __init__(self, cluster: Cluster, addresses: Sequence[Address], until: float) -> None:
        self._cluster = cluster
        self._addresses = addresses
        self._until = until
        self._asked = addresses[0]
        self._error: Exception | None = None

    def __iter__(self) -> Iterator[Address]:
        """Yield whom to ask next, until one has told or time is up.

        Raises:
            redis.RedisError: nothing at all is known of the cluster, and nobody told.
        """
        for address in self._addresses:
            if monotonic() >= self._until:
                break
            self._asked = address
            yield address
            if not self._cluster.is_stale:
                return
        if self._cluster.slots is None and self._error is not None:
            raise self._error

    def learn(self, reply: Any) -> None:
        """Take what the node replied to ``CLUSTER SLOTS``."""
        slots = read_slots(reply, self._asked)
        if slots is None:
            self.failed(_no_slots())
        else:
            self._cluster.learn(slots)

    def failed(self, error: Exception) -> None:
        """Note that the node has not told."""
        self._error = error
        self._cluster.note_silent(self._asked)


class Batch:
    """What goes to one node in one packet.

    Attributes:
        address: of the node.
        places: where the replies belong; ``None`` for that to ``ASKING``.
        commands: in the same order.
        is_read: whether all replies have come.
        is_lost: whether none are to be waited for.
    """

    __slots__ = ("address", "commands", "is_lost", "is_read", "places")

    def __init__(self, address: Address) -> None:
        self.address: Address = address
        self.places: list[int | None] = []
        self.commands: list[tuple[Any, ...]] = []
        self.is_read: bool = False
        self.is_lost: bool = False

    def add(self, place: int, command: tuple[Any, ...], *, asking: bool) -> None:
        """Add a command; ``ASKING`` before it counts for it alone."""
        if asking:
            self.places.append(None)
            self.commands.append(("ASKING",))
        self.places.append(place)
        self.commands.append(command)


class ClusterCall:
    """One call: commands about names, and what has become of each.

    Args:
        cluster: what is known of the cluster.
        names: what each command is about.
        commands: what to send.
        until: its deadline.

    Attributes:
        replies: the answers, with errors in their places.
        until: its deadline, to which is added what was spent on nodes that answer. So it is a
            bound for the time that is lost with others, not for the work.
    """

    def __init__(
        self,
        cluster: Cluster,
        names: Sequence[bytes],
        commands: Sequence[tuple[Any, ...]],
        until: float,
    ) -> None:
        self.replies: list[Any] = [None] * len(commands)
        self._cluster = cluster
        self._slots = [slot_of(name) for name in names]
        self._commands = commands
        self.until: float = until
        self._rounds = 0
        self._began = 0.0
        # By place: the node, and whether it must be asked to make an exception.
        self._due: dict[int, tuple[Address | None, bool]] = {}
        self._unsent: dict[int, Address | None] = {}
        for place, slot in enumerate(self._slots):
            self._due[place] = cluster.owner(slot), False

    @property
    def is_over(self) -> bool:
        """Whether its time is up."""
        return monotonic() >= self.until

    def begin(self) -> bool:
        """Begin a step; tell whether the time is up."""
        self._began = monotonic()
        return self._began >= self.until

    def succeed(self) -> None:
        """Note that the step is done; the next begins."""
        now = monotonic()
        self.until += now - self._began
        self._began = now

    def batches(self) -> list[Batch]:
        """Return what is to be sent now, by node; nothing when all is done.

        In the order of their addresses: calls that hold a connection to one node while they
        wait for one to the next can't wait for each other in a circle then. What is for nodes
        that have failed of late comes when all else is done.
        """
        due, self._due = self._due, self._put_off()
        self._rounds += 1
        found: dict[Address, Batch] = {}
        for place, (address, asking) in due.items():
            if place in self._due:
                continue
            if address is None:
                self.replies[place] = _unserved(self._slots[place])
                self._unsent[place] = None
                self._cluster.is_stale = True
            else:
                batch = found.get(address) or found.setdefault(address, Batch(address))
                batch.add(place, self._commands[place], asking=asking)
        return sorted(found.values(), key=lambda batch: batch.address)

    def _put_off(self) -> dict[int, tuple[Address | None, bool]]:
        addresses = {address for address, _ in self._due.values() if address is not None}
        failed = {one for one in addresses if self._cluster.breaker(one).has_failed}
        if not 0 < len(failed) < len(addresses):
            return {}
        return {place: way for place, way in self._due.items() if way[0] in failed}

    def answered(self, batch: Batch, replies: Sequence[Any]) -> None:
        """Take the replies of a node, perhaps not all that were due."""
        for place, reply in zip(batch.places, replies, strict=False):
            if place is None:
                continue
            self.replies[place] = reply
            if isinstance(reply, Exception):
                self._refused(place, reply, batch.address)

    def _refused(self, place: int, error: Exception, asked: Address) -> None:
        from redis import exceptions

        if isinstance(error, exceptions.AskError):
            address = told_host(error.host, asked), int(error.port)
            is_ask = not isinstance(error, exceptions.MovedError)
            self._cluster.note_redirect(self._slots[place], address, is_for_good=not is_ask)
            if self._rounds < _ROUNDS and not self.is_over:
                self._due[place] = address, is_ask
            else:
                self.replies[place] = _astray(self._slots[place], address)
        elif isinstance(error, exceptions.ClusterDownError):
            self._cluster.is_stale = True

    def lost(self, batch: Batch, replies: Sequence[Any], error: Exception) -> None:
        """Give up what a node has not answered: it may have been applied."""
        batch.is_lost = True
        self._cluster.is_stale = True
        self.answered(batch, replies)
        for place in batch.places[len(replies) :]:
            if place is not None:
                self.replies[place] = error

    def unsent(self, batch: Batch, error: Exception) -> None:
        """Note that a node could not be reached: nothing has been applied."""
        batch.is_lost = True
        self._cluster.is_stale = True
        for place in batch.places:
            if place is not None:
                self.replies[place] = error
                self._unsent[place] = batch.address

    def take_up(self, address: Address, error: Exception) -> None:
        """Go on after the only command was sent, as the first step, and failed.

        Args:
            address: to which node.
            error: what came of it.
        """
        self._due, self._rounds = {}, 1
        batch = Batch(address)
        batch.add(0, self._commands[0], asking=False)
        if is_unsent(error):
            self.unsent(batch, error)
        elif is_answer(error):
            self.until = self._cluster.deadline()  # the node has answered: no time was lost
            self.answered(batch, [error])
        else:
            self.lost(batch, [], error)

    def reroute(self) -> None:
        """Send what could not be sent to who serves it by now, if that is another node."""
        unsent, self._unsent = self._unsent, {}
        if self._rounds < _ROUNDS and not self.is_over:
            for place, address in unsent.items():
                owner = self._cluster.owner(self._slots[place])
                if owner not in (None, address):
                    self._due[place] = owner, False

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to send."""
        return not self._due

    @property
    def has_unsent(self) -> bool:
        """Whether something could not be sent, for nobody was there to take it."""
        return bool(self._unsent)

    def check_time(self) -> None:
        """Begin a step, or fail if the time is up.

        Raises:
            redis.TimeoutError: it is.
        """
        if self.begin():
            from redis.exceptions import TimeoutError as LateError

            raise LateError("the time of the call is up")


def _no_slots() -> Exception:
    from redis.exceptions import ClusterDownError

    return ClusterDownError("CLUSTERDOWN the node knows of no slot that is served")


def _astray(slot: int, address: Address) -> Exception:
    from redis.exceptions import ClusterDownError

    host, port = address
    return ClusterDownError(
        f"CLUSTERDOWN sent on from node to node, last to {host}:{port}, for slot {slot}"
    )


def _unserved(slot: int) -> Exception:
    from redis.exceptions import ClusterDownError

    return ClusterDownError(f"CLUSTERDOWN no node is known to serve slot {slot}")
