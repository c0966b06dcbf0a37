"""Finds the part of a value that pickle refuses; runs only after pickling has failed.

Pickle's own errors name a type but not where it is. So the parts are tried one by one,
and the search goes on inside the first that fails alone.
"""

from __future__ import annotations

import copyreg
import pickle
from types import FunctionType

from symphra_cache.serializers._unstorable import MAX_DEPTH, Unstorable, key_step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from symphra_cache.exceptions import SerializationError

_MAX_REASON = 200  # an error's text may hold the repr of anything


def find(value: object, error: Exception) -> SerializationError:
    """Return the error that names the deepest part which can't be pickled by itself."""
    if isinstance(error, RecursionError):  # every part of the way down is to blame
        return Unstorable(
            "a value nested this deeply", "pickle reaches Python's recursion limit: flatten it"
        ).error()
    steps: list[str] = []
    above: list[object] = []  # kept alive, so that their ids stay their own
    while len(steps) < MAX_DEPTH:
        above.append(value)
        part = _first_refused(value, {id(each) for each in above})
        if part is None:
            break
        step, value, error = part
        steps.append(step)
    found = Unstorable(
        type(value).__qualname__,
        f"{str(error) or type(error).__name__:.{_MAX_REASON}}: convert it or leave it out "
        "(a class or function must stand at the top level of its module)",
    )
    for step in reversed(steps):
        found.within(step)
    return found.error()


def _first_refused(value: object, above: set[int]) -> tuple[str, object, Exception] | None:
    try:
        for step, part in _parts(value):
            if id(part) in above:  # a circle leads nowhere new
                continue
            error = _refusal(part)
            if error is not None:
                return step, part, error
    except Exception:  # raised by the value's own methods: then it is the culprit
        return None
    return None


def _refusal(value: object) -> Exception | None:
    try:
        pickle.dumps(value, 5)
    except Exception as error:
        return error
    return None


def _parts(value: object) -> Iterator[tuple[str, object]]:
    kind = type(value)
    if kind is dict and isinstance(value, dict):
        yield from _pairs(value.items())
    elif isinstance(value, tuple) or (kind is list and isinstance(value, list)):
        yield from _items(value)
    elif isinstance(value, (set, frozenset)):
        yield from (("{...}", item) for item in value)
    elif not isinstance(value, (type, FunctionType)):  # those are pickled by their names
        yield from _parts_of_object(value)


def _items(items: Iterable[object]) -> Iterator[tuple[str, object]]:
    yield from ((f"[{index}]", item) for index, item in enumerate(items))


def _pairs(pairs: Iterable[tuple[object, object]]) -> Iterator[tuple[str, object]]:
    for index, (key, item) in enumerate(pairs):
        yield f".keys()[{index}]", key
        yield key_step(key), item


def _parts_of_object(value: object) -> Iterator[tuple[str, object]]:
    """Yield what pickle itself would store of an object: its reduced form."""
    reduce = copyreg.dispatch_table.get(type(value))
    form = reduce(value) if reduce is not None else value.__reduce_ex__(5)
    if isinstance(form, str):  # a global name
        return
    _, arguments, state, items, pairs, *_ = (*form, None, None, None, None)
    # An object of the usual kind has (attributes, slots) or just its attributes as state.
    for attributes in state if isinstance(state, tuple) else (state,):
        if isinstance(attributes, dict):
            yield from ((f".{name}", part) for name, part in attributes.items())
        else:
            yield ".__getstate__()", attributes
    yield from _items(items or ())
    yield from _pairs(pairs or ())
    for index, part in enumerate(arguments):
        if part is not type(value):  # whoever can't pickle its class is the culprit itself
            yield f".__reduce__()[1][{index}]", part
