"""Ratios, formed within each round, then their median and quartiles; and the verdict on a goal.

A machine's slow moment hits all slots of a round, and cancels out in its ratio. The ratio of two
medians would not have that property.
"""

from __future__ import annotations

from statistics import quantiles
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    Rounds = dict[str, list[float]]


class Spread(NamedTuple):
    """The quartiles of some figures."""

    low: float
    median: float
    high: float


def spread(figures: Sequence[float]) -> Spread:
    """Return the quartiles."""
    if len(figures) == 1:
        return Spread(figures[0], figures[0], figures[0])
    return Spread(*quantiles(figures, n=4, method="inclusive"))


def rounds_of(work: dict[str, Any]) -> Rounds:
    """Return the figures of each contestant of a stored work."""
    return {one["name"]: one["rounds"] for one in work["contestants"]}


def ratios(rounds: Rounds, subject: str, peer: str, minus: str | None = None) -> list[float]:
    """Return ``subject / peer`` for each round; ``minus`` is taken off both first."""
    floor = rounds[minus] if minus else [0.0] * len(rounds[subject])
    figures = zip(rounds[subject], rounds[peer], floor, strict=True)
    return [(ours - least) / (theirs - least) for ours, theirs, least in figures]


def measured(rounds: Rounds, goal: dict[str, Any]) -> list[float]:
    """Return what a goal bounds, for each round."""
    subject, peer = goal["subject"], goal.get("peer")
    if peer is None:
        return rounds[subject]
    found = ratios(rounds, subject, peer, goal.get("minus"))
    if "growth" not in goal:
        return found
    before = ratios(rounds, *goal["growth"])
    return [large / small for large, small in zip(found, before, strict=True)]


def needed(goal: dict[str, Any]) -> list[str]:
    """Return the contestants that a goal is about."""
    names = [goal["subject"], goal.get("peer"), goal.get("minus"), *goal.get("growth", ())]
    return [name for name in names if name]


def verdict(median: float, goal: dict[str, Any]) -> str:
    """Say whether a goal is met, and if not by how much it is missed."""
    limit = goal.get("limit")
    if limit is None:
        return "for information"
    if goal["kind"] == "equal":
        away = abs(median - limit)
        return "met" if away <= goal["tolerance"] else f"UNMET ({away:.3f} away)"
    met = median <= limit if goal["kind"] == "at most" else median >= limit
    if not met and limit == 0:
        return f"UNMET (by {median:g})"
    return "met" if met else f"UNMET ({median / limit:.2f} × goal)"
