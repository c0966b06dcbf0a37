"""Who must not wait for whom, or nobody would ever go on."""

from __future__ import annotations

from symphra_cache.exceptions import RecursiveLoadError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from symphra_cache._callers import Caller
    from symphra_cache._flights import Flight

__all__ = ["may_wait", "needs", "recursive"]


def may_wait(flight: Flight, caller: Caller) -> bool:
    """Tell whether a caller may wait for a load; not if it needs a thread that stands still then.

    Raises:
        RecursiveLoadError: what he waits for waits for him.
    """
    still = _standing_still(caller)
    seen, due, may = {flight}, [flight], True
    while due:
        one = due.pop()
        if one in caller.inside:
            raise recursive(flight.name)
        may = may and not (one.leader.loop is not None and one.leader.thread in still)
        others = [other for other in tuple(one.waits_for) if other not in seen]
        seen.update(others)
        due += others
    return may


def needs(leader: Caller, writer: Caller) -> bool:
    """Tell whether who loads can't go on while a writer waits.

    He may be a task of a loop that stands still then, or below the writer on the stack.
    """
    return leader.thread in _standing_still(writer)


def recursive(name: tuple[str, str]) -> RecursiveLoadError:
    """Return the error for a load that would wait for itself."""
    return RecursiveLoadError(
        f"the load of {name[1]!r} in namespace {name[0]!r} would wait for itself; a loader must "
        "not ask for the key that it loads, directly or by way of another load: call the function "
        "behind it instead"
    )


def _standing_still(caller: Caller) -> set[int]:
    """Return the threads that stand still until a caller goes on.

    His own, if it is he who blocks it, and those of all who block while they wait for loads that
    he runs inside of.
    """
    threads = {caller.thread}
    due = [*caller.inside]
    seen = {*due}
    while due:
        flight = due.pop()
        for one in (flight.leader, *tuple(flight.waiting)):
            if one.loop is None:
                threads.add(one.thread)
            others = [outer for outer in one.inside if outer not in seen]
            seen.update(others)
            due += others
    if caller.loop is not None:  # which runs him right now
        threads.discard(caller.thread)
    return threads
