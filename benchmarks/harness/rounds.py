"""Interleaved rounds: in each, every contestant has one slot, so that a slow moment hits them all.

The order is rotated from round to round, and turned round in every second one, so that nobody
always follows the same neighbour. The garbage collector stays enabled, since it is part of what an
allocation costs; before a slot it collects, outside the time, so that nobody pays for another's
garbage; and what was there before the first slot is frozen, so that nobody's collections walk
through the others' entries.
"""

from __future__ import annotations

import gc
import sys
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from harness.model import FULL, Measured
from harness.seats import reason, seat

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.model import Mode, Runner, Work

# One part in so many of a slot goes before it, untimed: who waited finds the processor cold.
WARM_UP = 8


@dataclass(slots=True)
class Seated:
    """A contestant that is ready, and how many passes its slots have."""

    name: str
    runner: Runner
    passes: int = 1


def measure(family: str, work: Work, mode: Mode) -> Measured:
    """Run all rounds of a work."""
    measured = Measured(work)
    print(f"{work.name} ", end="", file=sys.stderr, flush=True)
    seated = _seated(family, work, mode, measured)
    gc.collect()
    gc.freeze()
    for number in range(_rounds(work, mode)):
        print(".", end="", file=sys.stderr, flush=True)
        for one in _order(seated, number):
            if one.name not in measured.absent:
                _slot(one, measured)
    for one in seated:
        try:
            one.runner.close()
        except Exception as error:
            _dismiss(one.name, error, measured)
    gc.unfreeze()
    print(file=sys.stderr)
    return measured


def _rounds(work: Work, mode: Mode) -> int:
    return mode.rounds if work.rounds is None else work.rounds[mode is FULL]


def _seated(family: str, work: Work, mode: Mode, measured: Measured) -> list[Seated]:
    """Make all contestants ready; say of each that can't be why."""
    seated = []
    for contestant in work.contestants:
        try:
            one = Seated(contestant.name, seat(family, work, contestant))
            if work.calibrated:
                one.passes = _calibrated(one.runner, mode.slot_ns * work.longer)
        except Exception as error:
            _dismiss(contestant.name, error, measured)
        else:
            seated.append(one)
    return seated


def _calibrated(runner: Runner, slot_ns: int) -> int:
    """Return how many passes fill a slot; warms the contestant up along the way."""
    passes = 1
    while (took := runner.run(passes)) < slot_ns / 4:
        passes *= 2
    return max(1, ceil(passes * slot_ns / took))


def _order(seated: Sequence[Seated], number: int) -> list[Seated]:
    start = number % len(seated) if seated else 0
    order = [*seated[start:], *seated[:start]]
    return order[::-1] if number % 2 else order


def _slot(one: Seated, measured: Measured) -> None:
    gc.collect()
    try:
        if one.passes > 1:
            one.runner.run(ceil(one.passes / WARM_UP))
        took = one.runner.run(one.passes)
    except Exception as error:
        _dismiss(one.name, error, measured)
        return
    operations = one.passes * one.runner.operations
    measured.operations[one.name] = operations
    measured.rounds.setdefault(one.name, []).append(took / operations)


def _dismiss(name: str, error: Exception, measured: Measured) -> None:
    measured.absent[name] = reason(error)
    measured.rounds.pop(name, None)
    measured.operations.pop(name, None)
