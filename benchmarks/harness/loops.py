"""Compiles the tight loops that are timed.

As `timeit` does it, a cache's call is text that is put into the loop: no wrapper is timed along,
and each contestant has byte code of its own, so that the interpreter specialises it on its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from textwrap import indent
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

# `chunks` is an endless iterator of lists, so a slot goes on where the last one ended.
_TIMED = """
{define} timed(chunks, passes, value, *, {names}):
    started = clock()
    for chunk in islice(chunks, passes):
        for {item} in chunk:
            {body}
    return started, clock()
"""
_FILLED = """
{define} filled(pairs, *, {names}):
    for key, value in pairs:
        {set}
"""
_FOUND = """
{define} found(keys, *, {names}):
    return [{get} for key in keys]
"""
_REPLAYED = """
{define} replayed(operations, value, *, {names}):
    misses = 0
    for key, write in operations:
        {body}
        misses += not write and found is None
    return misses
"""
_MIXED = """if write:
    {set}
else:
    found = {get}
    if found is None:
        {set}"""


@dataclass(frozen=True, slots=True)
class Calls:
    """How a loop calls a cache.

    Args:
        names: what the expressions refer to; local variables of the loop.
        get: an expression with ``key``, ``None`` on a miss.
        set: an expression or statement with ``key`` and ``value``; empty if there is none.
        is_async: whether the expressions await.
        get_many: an expression with ``keys``, a list.
        set_many: an expression or statement with ``mapping``, a dict.
        settle: lets background work catch up before memory is measured.
        close: frees what the cache holds; a coroutine function if the expressions await.
    """

    names: dict[str, Any]
    get: str = "get(key)"
    set: str = "set(key, value)"
    is_async: bool = False
    get_many: str = ""
    set_many: str = ""
    settle: Callable[[], object] | None = None
    close: Callable[[], object] | None = None

    def each_get(self) -> Callable[..., Any]:
        """Return a timed loop of gets."""
        return self._compiled("timed", _TIMED, item="key", body=self.get)

    def each_set(self) -> Callable[..., Any]:
        """Return a timed loop of sets of one value."""
        return self._compiled("timed", _TIMED, item="key", body=self.set)

    def each_pair(self) -> Callable[..., Any]:
        """Return a timed loop of sets over pairs (key, value)."""
        return self._compiled("timed", _TIMED, item="key, value", body=self.set)

    def each_get_many(self) -> Callable[..., Any]:
        """Return a timed loop of gets of many keys at once."""
        return self._compiled("timed", _TIMED, item="keys", body=self.get_many)

    def each_set_many(self) -> Callable[..., Any]:
        """Return a timed loop of sets of many entries at once."""
        return self._compiled("timed", _TIMED, item="mapping", body=self.set_many)

    def mixed(self) -> Callable[..., Any]:
        """Return a timed loop over pairs (key, whether to write) that fills on a miss."""
        body = indent(_MIXED.format(get=self.get, set=self.set), " " * 12).lstrip()
        return self._compiled("timed", _TIMED, item="key, write", body=body)

    def replayed(self) -> Callable[..., Any]:
        """Return a function that goes through (key, whether to write) and counts misses."""
        body = indent(_MIXED.format(get=self.get, set=self.set), " " * 8).lstrip()
        return self._compiled("replayed", _REPLAYED, body=body)

    def filled(self) -> Callable[..., Any]:
        """Return a function that stores pairs (key, value)."""
        return self._compiled("filled", _FILLED, set=self.set)

    def found(self) -> Callable[..., Any]:
        """Return a function that gets keys."""
        return self._compiled("found", _FOUND, get=self.get)

    def _compiled(self, function: str, template: str, **parts: str) -> Callable[..., Any]:
        scope = {**self.names, "clock": perf_counter_ns, "islice": islice}
        # As arguments with defaults the names are local variables, the fastest there are.
        names = ", ".join(f"{name}={name}" for name in scope)
        define = "async def" if self.is_async else "def"
        exec(template.format(define=define, names=names, **parts), scope)
        return scope[function]
