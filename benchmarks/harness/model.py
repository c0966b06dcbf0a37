"""What is measured, as data: contestants, the work they do, and the goals that it is held to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    Place = Literal["here", "predecessor", "fresh", "fresh predecessor"]


class Runner(Protocol):
    """A contestant that is ready for one work."""

    @property
    def operations(self) -> int:
        """How many operations one pass is."""

    def run(self, passes: int) -> float:
        """Do the passes; return what they took in all (nanoseconds, bytes, …)."""

    def close(self) -> None:
        """Check that the work was what it claims to be, and free what it holds."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """A name as it stands in the tables, and how to make it ready.

    Args:
        name: the same contestant has the same name in all works.
        prepare: makes it ready; whatever it raises is reported as the reason why it can't run.
        lacks: what it doesn't do of what the work asks for; a footnote of the table.
        place: ``here``; ``predecessor``, a process that imports symphra-cache 0.1.0; or
            ``fresh`` and ``fresh predecessor``, a new process for each round.
    """

    name: str
    prepare: Callable[[], Runner]
    lacks: str = ""
    place: Place = "here"


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound on ``subject / peer``, or on the subject itself where there is no peer.

    Args:
        row: of the table of goals, for example ``M1``.
        subject: the name of a contestant.
        limit: the bound; ``None`` shows the figure for information.
        peer: the name of the contestant that it is compared with.
        minus: a contestant whose figure is first taken off both.
        growth: names of (subject, peer) in a smaller setting: the bound is on the ratio of
            ``subject / growth[0]`` to ``peer / growth[1]``.
        kind: the bound from above, from below, or (``equal``) both, within ``tolerance``.
        tolerance: for ``equal``.
    """

    row: str
    subject: str
    limit: float | None
    peer: str | None = None
    minus: str | None = None
    growth: tuple[str, str] | None = None
    kind: Literal["at most", "at least", "equal"] = "at most"
    tolerance: float = 0.0


@dataclass(frozen=True, slots=True)
class Work:
    """One thing that contestants do in turn.

    Args:
        name: unique in its family, part of file names.
        title: says what an operation is.
        contestants: in the order of the table.
        goals: what it is held to.
        references: contestants that get a column with everybody's ratio to them.
        unit: of a figure, per operation.
        calibrated: whether the number of passes is chosen so that a slot takes its time; else
            a slot is one pass.
        longer: how many times the usual time a slot takes.
        rounds: how many in (quick, full) mode, if not the usual number.
        plot: whether a plot is made of it.
    """

    name: str
    title: str
    contestants: tuple[Contestant, ...]
    goals: tuple[Goal, ...] = ()
    references: tuple[str, ...] = ()
    unit: str = "ns"
    calibrated: bool = True
    longer: int = 1
    rounds: tuple[int, int] | None = None
    plot: bool = False


@dataclass(frozen=True, slots=True)
class Mode:
    """How long to measure."""

    name: str
    rounds: int
    slot_ns: int


QUICK = Mode("quick", rounds=15, slot_ns=10_000_000)
FULL = Mode("full", rounds=40, slot_ns=40_000_000)


@dataclass(slots=True)
class Measured:
    """What a work gave: a figure per operation for each contestant and round."""

    work: Work
    rounds: dict[str, list[float]] = field(default_factory=dict)
    operations: dict[str, int] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
