"""A fleet of hosts with near caches before a cluster: server load and staleness against its size.

    python benchmarks/sim_fleet.py                     the tables, in a few seconds
    python benchmarks/sim_fleet.py --writes 0.1        with a tenth of the writes
    python benchmarks/sim_fleet.py --check             the model against a simulation of few hosts

It is a model in closed form, so that 10,000 hosts take no longer than one; `--check` replays the
same traffic key by key, for as many hosts as a laptop can. What things cost was measured; the
constants below say how. A host is one process with one connection to each primary for its commands
and one for what is pushed; where a machine has several processes, count those.

A node is Redis as it is: one thread goes round in cycles. In each it reads what its clients sent,
runs the commands, and sends what the cycle's writes invalidated, to each tracking client in one
message. So under load a cycle carries more writes, and its messages are shared by more of them:
pushes slow a node down before they overload it.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil, expm1, inf
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from fleet_replay import simulated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Seconds of a node's thread. Measured with Redis 7.0.15 by its own count of CPU time, on two noisy
# cores: 0, 25 and 100 clients with `CLIENT TRACKING ON BCAST PREFIX`, writes one by one, and 100 to
# a packet.
PACKET = 10.4e-6  # a request that comes alone: to read it and to answer
COMMAND = 0.56e-6  # each command in it
MESSAGE = 4.5e-6  # to send a client what was invalidated in a cycle
KEY = 0.025e-6  # each name in that message
READ = 2 * COMMAND  # a read that is to be kept: GET and PTTL
PROBE = 15e-6  # a near cache's question, each second, whether it has been told all
# Seconds of a host's thread. Measured by that thread's CPU time with CPython 3.11, likewise.
HEAR = 9.4e-6  # to receive a message
DROP = 0.33e-6  # to take a name out of the near cache
CHECK = 0.3e-3  # to ask a node, once a second
# Seconds between a node and a host. A guess: two racks of one data centre. (On one machine, a near
# cache shows a foreign write 32e-6 after that has returned, in the median.)
TRAVEL = 0.1e-3
# Commands of one host that travel in one packet. 1 without auto-pipelining.
COALESCED = 1.0

FLEETS = (1, 10, 100, 300, 1_000, 3_000, 10_000)
# A node is at its limit when a command waits so long for pushes, in the mean, or it is so busy.
WAIT_LIMIT = 1e-3
BUSY_LIMIT = 0.7
# redis.conf's default.
MAX_CLIENTS = 10_000
# So many of the most popular keys are looked at one by one, the others in groups.
SINGLE = 200


@dataclass(frozen=True, slots=True)
class Fleet:
    """What is modelled.

    Args:
        hosts: how many.
        nodes: primaries of the cluster, at the least.
        hosts_per_node: at the most; the cluster grows with the fleet.
        reads: of a host in a second, zipf-distributed.
        writes: of a host in a second, drawn from the same distribution.
        keys: how many there are.
        exponent: of the distribution.
        capacity: entries of a near cache; 0 for none.
        lifetime: seconds after which an entry of a near cache is read anew.
        namespaces: how many the keys are spread over; a host reads, and so tracks, those of one.
        is_broadcast: whether all hosts of a namespace hear of a write, or only those that hold the
            key; then a node must remember who does.
    """

    hosts: int = 1
    nodes: int = 6
    hosts_per_node: float = 50.0
    reads: float = 1_000.0
    writes: float = 1.0
    keys: int = 1_000_000
    exponent: float = 1.0
    capacity: int = 10_000
    lifetime: float = 30.0
    namespaces: int = 1
    is_broadcast: bool = True

    @property
    def primaries(self) -> int:
        """How many nodes there are."""
        return max(self.nodes, ceil(self.hosts / self.hosts_per_node))

    @property
    def peers(self) -> float:
        """How many hosts read, and write, one namespace."""
        return max(1.0, self.hosts / self.namespaces)


class Group(NamedTuple):
    """Keys that are equally popular, or nearly so."""

    count: int
    share: float  # of all operations, for one of them


class Held(NamedTuple):
    """What the near caches do for a group."""

    group: Group
    share: float  # of the time, and so of the reads, that a host holds one of these keys


class Outcome(NamedTuple):
    """How a fleet fares; of the busiest node where nodes differ."""

    hits: float  # share of reads
    commands: float  # that reach the node in a second
    by_commands: float  # share of the node's time
    by_pushes: float  # likewise
    wait: float  # seconds that a command waits for pushes, in the mean
    delay: float  # seconds until the median host has heard of a write
    last: float  # and the last one
    stale: float  # stale reads in a million
    handling: float  # share of a host's core that pushes, and asking for them, take
    clients: int  # that are connected to the node
    remembered: float  # pairs of a key and a client that the node knows

    @property
    def heard(self) -> tuple[float, float]:
        """When half the hosts know of a write, and when all do."""
        return self.delay, self.last

    @property
    def limits(self) -> list[str]:
        """Return what is beyond its limit."""
        found = {
            "commands": self.by_commands > BUSY_LIMIT,
            "pushes": self.by_pushes > BUSY_LIMIT or WAIT_LIMIT < self.wait < inf,
            "clients": self.clients > MAX_CLIENTS,
        }
        return [name for name, is_beyond in found.items() if is_beyond]


def groups(keys: int, exponent: float) -> list[Group]:
    """Return all keys: the most popular alone, then ranges of ranks, each somewhat longer."""
    bounds = list(range(1, min(SINGLE, keys) + 1))
    while bounds[-1] < keys:
        bounds.append(min(keys, max(bounds[-1] + 1, int(bounds[-1] * 1.03))))
    ranges = list(pairwise([0, *bounds]))
    # A range of ranks is as popular as its middle.
    weights = [((low + 1 + high) / 2) ** -exponent for low, high in ranges]
    counts = [high - low for low, high in ranges]
    total = sum(count * weight for count, weight in zip(counts, weights, strict=True))
    return [Group(count, weight / total) for count, weight in zip(counts, weights, strict=True)]


def held(fleet: Fleet) -> list[Held]:
    """Return how long near caches hold each key, once they are warm.

    An entry goes when its lifetime is over, its key is written, or it was not read for so long that
    LRU let it go. That time is the same for all keys (Che's approximation): the one with which a
    cache is just full. A host reads the keys of its own namespace alone.
    """
    found = groups(max(1, fleet.keys // fleet.namespaces), fleet.exponent)
    if not fleet.capacity:
        return [Held(group, 0.0) for group in found]

    def with_idle(idle: float) -> list[Held]:
        return [Held(group, _share(fleet, group, idle)) for group in found]

    def is_too_full(idle: float) -> bool:
        return sum(one.group.count * one.share for one in with_idle(idle)) > fleet.capacity

    if not is_too_full(inf):
        return with_idle(inf)
    low, high = 0.0, fleet.lifetime * 100
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if is_too_full(middle) else (middle, high)
    return with_idle(low)


def _share(fleet: Fleet, group: Group, idle: float) -> float:
    reads = fleet.reads * group.share
    # Hosts of other namespaces write other keys.
    ends = fleet.writes * group.share * fleet.peers
    if reads * idle < 500:  # else nobody waits for as long
        ends += reads / expm1(reads * idle) if idle else inf
    if ends == inf:
        return 0.0
    stays = -expm1(-ends * fleet.lifetime) / ends if ends else fleet.lifetime
    return stays / (stays + 1 / reads)


def busiest(fleet: Fleet, load: Callable[[Held], float], keys: list[Held]) -> float:
    """Return the load of the node that has most of it; the popular keys lie where they fall."""
    random, count = Random(1), fleet.primaries
    nodes, others = [0.0] * count, 0.0
    for one in keys:
        if one.group.count > 1:
            others += load(one) * one.group.count
            continue
        for _ in range(fleet.namespaces):
            nodes[random.randrange(count)] += load(one) / fleet.namespaces
    return max(nodes) + others / count


def outcome(fleet: Fleet) -> Outcome:
    """Return how a fleet fares."""
    keys = held(fleet)
    reads, writes = fleet.hosts * fleet.reads, fleet.hosts * fleet.writes
    missed = busiest(fleet, lambda one: reads * one.group.share * (1 - one.share), keys)
    written = busiest(fleet, lambda one: writes * one.group.share, keys)
    read = READ if fleet.capacity else COMMAND
    by_commands = (missed + written) * PACKET / COALESCED + missed * read + written * COMMAND
    if fleet.capacity:
        by_commands += fleet.hosts * PROBE
    hits = sum(one.group.count * one.group.share * one.share for one in keys)
    # Written is what is read, so of all hosts as many hold it as hit.
    receivers = fleet.peers * (1.0 if fleet.is_broadcast else hits) if fleet.capacity else 0.0
    by_pushes, cycle = pushing(fleet, written, receivers, by_commands)
    wait = min(1.0, by_pushes) * cycle / 2 if cycle else 0.0
    delay = TRAVEL + wait + cycle / 2 if cycle else 0.0
    return Outcome(
        hits=hits,
        commands=missed + written,
        by_commands=by_commands,
        by_pushes=by_pushes,
        wait=wait,
        delay=delay,
        last=delay + cycle / 2,
        stale=_stale(fleet, keys, delay),
        handling=_handling(fleet, written, receivers, cycle),
        clients=fleet.hosts * (2 if fleet.capacity else 1),
        remembered=0.0 if fleet.is_broadcast else fleet.hosts * fleet.capacity / fleet.primaries,
    )


def pushing(
    fleet: Fleet, written: float, receivers: float, by_commands: float
) -> tuple[float, float]:
    """Return what share of its time a node pushes, and how long each time, in seconds.

    What commands and names leave of its time is left for messages. A cycle that sends some lasts
    until they are out; what is written meanwhile goes out together in the next one, unless a node
    remembers who holds what: then each write has receivers of its own.
    """
    if not written or not receivers:
        return 0.0, 0.0
    by_names = written * receivers * KEY
    by_messages = written * receivers * MESSAGE
    spare = 1 - by_commands - by_names
    if spare <= 0 or (by_messages > spare and not fleet.is_broadcast):
        return by_names + by_messages, inf
    cycle = receivers * MESSAGE / spare
    if fleet.is_broadcast:
        by_messages /= 1 + written * cycle
    return by_names + by_messages, cycle


def _handling(fleet: Fleet, written: float, receivers: float, cycle: float) -> float:
    """Return what share of a core of a host hears of writes."""
    if not fleet.capacity:
        return 0.0
    names = receivers * fleet.writes
    together = 1.0
    if fleet.is_broadcast and cycle < inf:
        together += written / fleet.namespaces * cycle
    return names * DROP + names / together * HEAR + fleet.primaries * CHECK


def _stale(fleet: Fleet, keys: list[Held], delay: float) -> float:
    """Return how many reads in a million find what was written less than the delay before."""
    if not delay:
        return 0.0
    rate = fleet.writes * fleet.peers
    found = (
        one.group.count * one.group.share * one.share * -expm1(-rate * one.group.share * delay)
        for one in keys
    )
    return 1e6 * sum(found)


WAYS: dict[str, dict[str, Any]] = {
    "no near cache": {"capacity": 0},
    "near cache, one namespace": {},
    "near cache, 20 namespaces": {"namespaces": 20},
    "near cache, tracking without broadcast": {"is_broadcast": False},
}
COLUMNS = (
    ("hosts", lambda fleet, found: f"{fleet.hosts:,}"),
    ("nodes", lambda fleet, found: f"{fleet.primaries:,}"),
    ("hits", lambda fleet, found: f"{found.hits:.3f}"),
    ("commands/s", lambda fleet, found: f"{found.commands:,.0f}"),
    ("busy: commands", lambda fleet, found: f"{found.by_commands:.0%}"),
    ("busy: pushes", lambda fleet, found: f"{found.by_pushes:.0%}"),
    ("a command waits (ms)", lambda fleet, found: _shown("{:.2f}", found.wait)),
    ("heard by half, by all (ms)", lambda fleet, found: _shown("{:.1f}, {:.1f}", *found.heard)),
    ("stale reads in 1,000,000", lambda fleet, found: _stale_reads(found)),
    ("a host's core", lambda fleet, found: f"{found.handling:.1%}"),
    ("beyond the limit", lambda fleet, found: ", ".join(found.limits) or "–"),
)


def _shown(text: str, *seconds: float) -> str:
    """Return times in milliseconds; a node without time to spare has none."""
    return "–" if inf in seconds else text.format(*(1e3 * one for one in seconds))


def _stale_reads(found: Outcome) -> str:
    return "–" if found.delay == inf else f"{found.stale:,.1f}"


def report(fleet: Fleet) -> Iterator[str]:
    """Yield a table for each way to run a fleet, and where its limit is."""
    for name, options in WAYS.items():
        way = replace(fleet, **options)
        yield f"\n**{name}**\n"
        yield f"| {' | '.join(head for head, _ in COLUMNS)} |"
        yield f"|{' --- |' * len(COLUMNS)}"
        for hosts in FLEETS:
            one = replace(way, hosts=hosts)
            found = outcome(one)
            yield f"| {' | '.join(cell(one, found) for _, cell in COLUMNS)} |"
        yield f"\n{told_limit(way)}"


def limit(way: Fleet) -> tuple[int, list[str]]:
    """Return the smallest fleet that is beyond a limit, and which; 0 if none to 100,000 is."""
    low, high = 0, 100_000
    if not outcome(replace(way, hosts=high)).limits:
        return 0, []
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if outcome(replace(way, hosts=middle)).limits else (middle, high)
    return high, outcome(replace(way, hosts=high)).limits


REMEDIES = {
    "commands": "a near cache that holds more; more nodes or, where one key keeps one node busy, "
    "fewer writes of it",
    "pushes": "more namespaces, so that fewer hosts hear of a write; tracking without broadcast; "
    "no near cache for what is written often; more nodes",
    "clients": "a higher `maxclients`; fewer processes",
}


def told_limit(way: Fleet) -> str:
    """Say where the limit is, and what to do then."""
    hosts, names = limit(way)
    if not hosts:
        return "No limit up to 100,000 hosts."
    what = "; ".join(f"{name} ({REMEDIES[name]})" for name in names)
    return f"From {hosts:,} hosts on beyond the limit: {what}."


def check() -> None:
    """Print the model and the simulation side by side."""
    few = Fleet(hosts=20, keys=5_000, reads=100.0, capacity=500)
    for fleet in (few, replace(few, writes=5.0), replace(few, lifetime=3.0)):
        counted, found = simulated(fleet, 400_000), outcome(fleet)
        print(f"hits: model {found.hits:.3f}, simulation {counted.hits:.3f}")
        print(f"held of what is written: {found.hits:.3f}, {counted.heard:.3f}")


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(description="A fleet of near caches, by its size.")
    parser.add_argument("--check", action="store_true", help="the model against a simulation")
    for name in ("nodes", "keys", "capacity"):
        parser.add_argument(f"--{name}", type=int, default=getattr(Fleet(), name))
    for name in ("reads", "writes", "exponent", "lifetime", "hosts-per-node"):
        default = getattr(Fleet(), name.replace("-", "_"))
        parser.add_argument(f"--{name}", type=float, default=default)
    options = vars(parser.parse_args())
    if options.pop("check"):
        check()
    else:
        fleet = Fleet(**options)
        print(f"{fleet}\n\nA node that stands for all is the busiest one.")
        print("\n".join(report(fleet)))


if __name__ == "__main__":
    main()
