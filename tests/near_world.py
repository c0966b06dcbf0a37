"""A small world for a near cache: its real table, marks, epochs and links, a server of a few lines.

Whatever may happen next in it is tried, in every state that it can come to, each state once. So
every order of the steps of its actors is covered, though many orders share what follows.
"""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any, NamedTuple

import symphra_cache._async.redis_near as on_loops
import symphra_cache._sync.redis_near as on_threads
from symphra_cache import MISSING
from symphra_cache._metrics import Counters
from symphra_cache._redis_link import TRUSTED
from symphra_cache._redis_tracking import Link
from symphra_cache.backends import NearCache, RedisBackend

NAME, PREFIX = b"symphra:k", b"symphra:"
STEP = 1.5  # seconds that pass at once; the lease ends within two of them
BEGIN = 100.0


class Value(NamedTuple):
    """What the server has, with what a test must know of the read that brought it.

    Attributes:
        version: how many writes there had been.
        expires: when its ttl ends.
        heard: how much had been heard of writes and breaks when the reader put his mark.
        asked: when that was.
        node: who answered.
    """

    version: int
    expires: float
    heard: int = 0
    asked: float = 0.0
    node: str = "near"


class Write(NamedTuple):
    """One that the server has done.

    Attributes:
        at: when.
        is_known: whether this process has heard of it, or it is its own and has returned.
    """

    at: float
    is_known: bool = False


class Reader(NamedTuple):
    """Where a reader is.

    Attributes:
        quiet: how much had happened at all when he put his mark.
        version: of the cluster, as it was known then.
        seen: how many writes there had been when the server answered.
    """

    mark: Any = None
    asked: Value | None = None
    reply: Value | None = None
    left: int = -1
    quiet: int = -1
    version: int = 0
    seen: int = 0


class World:
    """A process with a near cache, a server, and what is on its way between them.

    All of its state is in `state`, whose values don't change, and in the real objects.
    """

    def __init__(self, programs: dict[str, list[str]], ttl: float, near: NearCache) -> None:
        self.programs = programs
        self.backend = RedisBackend("redis://127.0.0.1:1", near_cache=near)
        self.near: Any = self.backend._store.near
        self.table = self.near.table
        self.tracking: Any = self.near._tracking
        self.link = Link(self.tracking, None)
        self.tracking._links[None] = self.link
        self.link._wanted = frozenset({PREFIX})
        self.settings = near
        self.served = 0
        self.epochs: list[Any] = []
        self.state: dict[str, Any] = {
            **dict.fromkeys(programs, 0),  # how many of its steps are done
            **{f"reader {actor}": Reader() for actor in ("A", "B")},
            **{"now": BEGIN, "value": Value(0, BEGIN + ttl), "writes": (), "news": ()},
            **{"heard": 0, "happened": 0, "own": 0, "is_linked": True, "is_cut": False},
            **{"node": "near", "returned": 0},  # the latest that a reader has got, by its writes
        }
        counted = SimpleNamespace(_prefix=PREFIX, _counters=Counters())
        self.get = on_threads.near_reader(counted, self.table, lambda *_: MISSING)  # type: ignore[arg-type]
        self.aget = on_loops.near_reader(counted, self.table, self.amiss)  # type: ignore[arg-type]

    @staticmethod
    async def amiss(*_: object) -> object:
        return MISSING

    def close(self) -> None:
        self.link._bell.close()
        self.link._button.close()

    # --- steps --------------------------------------------------------------------------

    def begin(self) -> None:
        self.state["is_linked"] = False
        self.link_again()
        self.hear()

    def mark(self, who: str) -> None:
        """A reader looks for what is near, else puts his mark."""
        state = self.state
        if self.table.hit(NAME) is not MISSING:
            state[who] = len(self.programs[who])  # has what he wanted
            return
        mark = self.near.mark(NAME, PREFIX)
        vouched = state["is_linked"] and self.link.epoch.until > state["now"]
        assert (mark is not None) is vouched or self.tracking._cluster is not None
        asked = Value(0, 0.0, state["heard"], state["now"])
        quiet = -1 if state["news"] or state["is_cut"] else state["happened"]
        state[f"reader {who}"] = Reader(mark, asked, quiet=quiet, version=self.tracking.version)

    def serve(self, who: str) -> None:
        """The server answers a reader with what it has now."""
        state, reader = self.state, self.state[f"reader {who}"]
        if state["node"] != "near":
            self.learn()  # by being sent on
        value, left = state["value"], -1
        if value is not None and value.expires < math.inf:
            left = round((value.expires - state["now"]) * 1000)
        if value is not None and left != 0 and left >= -1:
            asked = reader.asked
            value = value._replace(heard=asked.heard, asked=asked.asked, node=state["node"])
        else:
            value = None
        state[f"reader {who}"] = reader._replace(reply=value, left=left, seen=len(state["writes"]))

    def fill(self, who: str) -> None:
        """The answer has come."""
        state, reader = self.state, self.state[f"reader {who}"]
        stands = self.table._marks.get("symphra:k") is reader.mark
        value, kept = reader.reply, None
        if value is not None:
            kept = self.near.kept(NAME, tuple(value), b"", reader.left)
        reply = None if value is None else b"%d" % value.version
        self.near.fill(NAME, reader.mark, kept, reader.left, reply)
        if reader.mark is not None:
            state["returned"] = max(state["returned"], reader.seen)
        # The mark is his own, or as young as if it were; and nobody was sent on to another node.
        is_fresh = reader.mark is not None and reader.mark.at == reader.asked.asked
        is_fresh = is_fresh and reader.version == self.tracking.version
        if is_fresh and reader.quiet == state["happened"] and value is not None:
            found = self.table.hit(NAME)
            assert found is not MISSING, "nothing has happened since he asked, and nothing is near"
            assert Value(*found).version == value.version
        if reader.mark is not None and not stands:
            state["happened"] += 1  # he may have taken away what others are about to fill

    def write(self, _: str) -> None:
        """Somebody writes, and the server tells."""
        state = self.state
        state["writes"] += (Write(state["now"]),)
        state["value"] = Value(len(state["writes"]), math.inf)
        self.tell(len(state["writes"]))

    def flush(self, _: str) -> None:
        """Somebody empties the server."""
        self.state["writes"] += (Write(self.state["now"]),)
        self.state["value"] = None
        self.tell("all", len(self.state["writes"]))

    def begin_own(self, _: str) -> None:
        self.table.drop([NAME])
        self.state["heard"] += 1

    def write_own(self, who: str) -> None:
        self.write(who)
        self.state["own"] = len(self.state["writes"])

    def end_own(self, _: str) -> None:
        self.table.drop([NAME])
        self.state["heard"] += 1
        self.know(self.state["own"])

    def ask(self, _: str) -> None:
        """The link asks whether it is alive."""
        self.tell("answer", self.state["now"])

    def cut(self, _: str) -> None:
        """From now on nothing comes, and nobody knows."""
        self.state["is_cut"] = True

    def break_link(self, _: str) -> None:
        """It is noticed that the link is broken; what was on its way is lost."""
        self.link._doubt()
        self.state.update(is_linked=False, news=(), heard=self.state["heard"] + 1)

    def link_again(self, _: str = "") -> None:
        self.link._asked = frozenset()
        self.link._ask_for_more(SimpleNamespace(track=lambda _, then: then()))  # type: ignore[arg-type]
        self.state.update(is_linked=True, is_cut=False)
        self.tell("answer", self.state["now"])

    def wait(self, _: str) -> None:
        self.state["now"] += STEP

    def move(self, _: str) -> None:
        """The name's slot goes to a node on which nobody tells; the old one removes it."""
        self.tell("gone")
        self.state["node"] = "far"

    def learn(self) -> None:
        cluster = self.tracking._cluster
        if cluster.address != ("far", 1):
            cluster.version, cluster.address = cluster.version + 1, ("far", 1)

    def learn_of_another(self, _: str) -> None:
        """It becomes known that another name has moved."""
        self.tracking._cluster.version += 1

    def tell(self, *news: Any) -> None:
        if self.state["is_linked"] and not self.state["is_cut"] and self.state["node"] == "near":
            self.state["news"] += (news,)

    def hear(self) -> None:
        """The next of the news comes."""
        (what, *more), *rest = self.state["news"]
        self.state["news"] = tuple(rest)
        if what == "answer":
            self.link._confirm(*more)
            return
        self.state["heard"] += 1
        self.link._told(None if what == "all" else [NAME])
        if what != "gone":
            self.know(more[0] if more else what)

    def know(self, number: int) -> None:
        writes = list(self.state["writes"])
        writes[number - 1] = writes[number - 1]._replace(is_known=True)
        self.state["writes"] = tuple(writes)

    # --- the search ---------------------------------------------------------------------

    def explore(self) -> int:
        """Try whatever may come next, and so on; return how many states there are."""
        seen: set[Any] = set()

        def go() -> None:
            self.check()
            if (key := self.key()) in seen:
                return
            seen.add(key)
            saved = self.saved()
            for actor in self.choices():
                self.step(actor)
                go()
                self.restore(saved)

        go()
        assert self.served > 0
        return len(seen)

    def choices(self) -> list[str]:
        can = [actor for actor, steps in self.programs.items() if self.state[actor] < len(steps)]
        return [*can, "news"] if self.state["news"] else can

    def step(self, actor: str) -> None:
        if actor == "news":
            self.hear()
        else:
            step = self.programs[actor][self.state[actor]]
            self.state[actor] += 1
            getattr(self, step)(actor)
        if actor not in ("A", "B"):
            self.state["happened"] += 1
        if self.link.epoch not in self.epochs:
            self.epochs.append(self.link.epoch)

    def saved(self) -> Any:
        cluster = self.tracking._cluster
        return (
            dict(self.state),
            dict(self.table.entries),
            dict(self.table._marks),
            self.link.epoch,
            [(epoch, epoch.until, epoch.prefixes) for epoch in self.epochs],
            [(mark, mark.reply) for mark in self.known_marks()],
            None if cluster is None else dict(vars(cluster)),
        )

    def known_marks(self) -> list[Any]:
        """Return the marks that somebody may still do something with."""
        readers = [what for what in self.state.values() if isinstance(what, Reader)]
        held = [reader.mark for reader in readers if reader.mark is not None]
        return [*held, *self.table._marks.values()]

    def restore(self, saved: Any) -> None:
        state, entries, marks, self.link.epoch, epochs, replies, cluster = saved
        self.state = dict(state)
        self.table.entries.clear()
        self.table.entries.update(entries)
        self.table._marks.clear()
        self.table._marks.update(marks)
        self.epochs = [epoch for epoch, *_ in epochs]
        for epoch, until, prefixes in epochs:
            epoch.until, epoch.prefixes = until, prefixes
        for mark, reply in replies:
            mark.reply = reply
        if cluster is not None:
            vars(self.tracking._cluster).update(cluster)

    def key(self) -> Any:
        """Return what the future depends on; objects by what tells them apart."""
        stands = self.table._marks.get("symphra:k")
        state: list[Any] = []
        for name, what in self.state.items():
            if isinstance(what, Reader):
                is_quiet = what.quiet == self.state["happened"]
                known = what._replace(mark=self.key_of(what.mark), quiet=is_quiet)
                state.append((name, known, what.mark is stands))
            elif name != "happened":
                state.append((name, what))
        entries = [(self.epochs.index(one[0]), *one[1:]) for one in self.table.entries.values()]
        epochs = [(epoch.until, epoch.prefixes) for epoch in self.epochs]
        cluster = self.tracking._cluster
        return (
            *(tuple(state), tuple(entries), self.key_of(stands), tuple(epochs)),
            cluster and tuple(vars(cluster).values()),
        )

    def key_of(self, mark: Any) -> Any:
        return mark and (self.epochs.index(mark.epoch), mark.version, mark.at, mark.reply)

    # --- what must be true ----------------------------------------------------------------

    def check(self) -> None:
        """Nothing is served that is known to be old, or that nobody vouches for any more."""
        kept, state = self.table.hit(NAME), self.state
        assert self.get("k") is kept
        assert ran(self.aget("k")) is kept
        if kept is MISSING:
            return
        self.served += 1
        found, now = Value(*kept), state["now"]
        for write in state["writes"][found.version :]:
            assert not write.is_known, "an old value, after its write was heard of"
            assert now - write.at < TRUSTED, "an old value, when the lease has run out"
        assert found.heard == state["heard"], "asked for before what was heard last"
        assert found.version >= state["returned"], "older than what somebody has got already"
        assert now < found.expires, "after the end of its ttl"
        assert now < found.asked + self.settings.max_staleness, "after max_staleness"
        assert found.node == "near", "from a node that tells nobody"


def ran(call: Any) -> Any:
    """Run a coroutine that waits for nothing."""
    try:
        call.send(None)
    except StopIteration as ended:
        return ended.value
    raise AssertionError("it waits")
