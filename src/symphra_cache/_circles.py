"""Who must not wait for whom, or nobody would ever go on."""

from __future__ import annotations

from symphra_cache._callers import blocked
from symphra_cache.exceptions import RecursiveLoadError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from symphra_cache._callers import Caller
    from symphra_cache._flights import Flight

__all__ = ["may_wait", "needs", "recursive"]


def may_wait(flight: Flight, caller: Caller) -> bool:
    """Tell whether a caller may wait for a load; not if it needs a thread that stands still then.

    Raises:
        RecursiveLoadError: what he waits for waits for him.
    """
    needed = _needed([flight])
    if not needed.isdisjoint(caller.inside):
        raise recursive(flight.name)
    return not _stand_still(needed, caller)


def needs(flight: Flight, writer: Caller) -> bool:
    """Tell whether a load can't go on while a writer waits for it.

    Who leads it may be below the writer on the stack, or need a thread that stands still then.
    """
    is_below = writer.loop is None and flight.leader.thread == writer.thread
    return is_below or _stand_still({flight}, writer)


def recursive(name: tuple[str, str]) -> RecursiveLoadError:
    """Return the error for a load that would wait for itself."""
    return RecursiveLoadError(
        f"the load of {name[1]!r} in namespace {name[0]!r} would wait for itself; a loader must "
        "not ask for the key that it loads, directly or by way of another load: call the function "
        "behind it instead"
    )


def _needed(flights: Iterable[Flight]) -> set[Flight]:
    """Return loads with those that are waited for inside of them."""
    due = [*flights]
    needed = {*due}
    while due:
        others = [one for one in tuple(due.pop().waits_for) if one not in needed]
        needed.update(others)
        due += others
    return needed


def _stand_still(needed: set[Flight], caller: Caller) -> bool:
    """Tell whether one of the loads can't go on until a caller does, if he waits.

    A task can't while its loop's thread is blocked: by the caller, by what he does it for, or by
    somebody who waits for a load that can't go on either.
    """
    threads = {one.leader.thread for one in caller.inside if one.leader.loop is None}
    if caller.loop is None:
        threads.add(caller.thread)
    else:  # which runs him right now
        threads.discard(caller.thread)
    due = [*needed]
    while due:
        leader = due.pop().leader
        if leader.loop is None:  # what he waits for is among the loads already
            continue
        if leader.thread in threads:
            return True
        other = blocked.get(leader.thread)
        awaited = other.waits_for if other is not None and other is not caller else None
        if awaited is not None:
            more = _needed([awaited]) - needed
            if not more.isdisjoint(caller.inside):
                return True
            needed |= more
            due += more
    return False
