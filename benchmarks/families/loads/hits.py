"""M5: hits of decorated functions."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import traces
from families.memory.common import KEYS, TTL, keys, shuffled
from harness.loops import Calls
from harness.model import Contestant, Goal, Work
from harness.runners import Loop
from peers import decorators

if TYPE_CHECKING:
    from collections.abc import Callable

    from peers.decorators import Decorator

    # (name, decorator, what it lacks)
    Peer = tuple[str, Callable[[int], Decorator], str]

OURS = "symphra_cache"
TEMPLATE = "symphra_cache, key= a template"
MOKA = "moka-py"
ASYNC_LRU = "async-lru"
LRU_CACHE = "functools.lru_cache"
ONE_TTL = "one time to live for all entries"

NAMED = partial(decorators.symphra, key="user:{user}")

BLOCKING: tuple[Peer, ...] = (
    (OURS, decorators.symphra, ""),
    (TEMPLATE, NAMED, ""),
    (MOKA, decorators.moka, ONE_TTL),
    ("moka-py lru", partial(decorators.moka, policy="lru"), ONE_TTL),
    ("cachetools, lock", decorators.cachetools, ONE_TTL),
    ("dogpile.cache", decorators.dogpile, f"not bounded; {ONE_TTL}"),
    (LRU_CACHE, decorators.functools_lru, "no time to live; forgets all or nothing"),
)
ASYNCIO: tuple[Peer, ...] = (
    (OURS, decorators.symphra, ""),
    (TEMPLATE, NAMED, ""),
    (ASYNC_LRU, decorators.async_lru, "for one event loop"),
    (MOKA, decorators.moka, ONE_TTL),
    ("cashews", decorators.cashews, ""),
    ("aiocache", decorators.aiocache, "not bounded"),
)


def _function() -> Callable[[Any], str]:
    """Return a function that may run but once for each argument: else something was no hit."""
    seen = set()

    def profile(user: Any) -> str:
        if user in seen:
            raise RuntimeError(f"it ran again for {user!r}: that was no hit")
        seen.add(user)
        return f"the profile of {user}"

    return profile


def _coroutine_function() -> Callable[[Any], Any]:
    function = _function()

    async def profile(user: Any) -> str:
        return function(user)

    return profile


def _blocking(decorate: Callable[[int], Decorator]) -> Calls:
    return Calls({"call": decorate(TTL)(_function())}, "call(key)", "call(key)")


def _asyncio(decorate: Callable[[int], Decorator]) -> Calls:
    names = {"call": decorate(TTL)(_coroutine_function())}
    return Calls(names, "await call(key)", "await call(key)", is_async=True)


def _hits(
    calls: Callable[[Any], Calls], decorate: Callable[[int], Decorator], stored: Any, read: Any
) -> Loop:
    made = calls(decorate)
    return Loop(made, made.each_get(), [read], pairs=[(each, None) for each in stored], held=stored)


def _contestants(
    peers: tuple[Peer, ...], calls: Callable[[Any], Calls], stored: Any, read: Any
) -> tuple[Contestant, ...]:
    return tuple(
        Contestant(name, partial(_hits, calls, decorate, stored, read), lacks)
        for name, decorate, lacks in peers
    )


# Equal to those that were stored, but other objects, and in another order.
_INTS = (
    [1_000_000 + number for number in range(KEYS)],
    [1_000_000 + number for number in traces.shuffled(KEYS, seed=3)],
)
_TEXTS = (keys(KEYS), shuffled(keys(KEYS)))

HITS = (
    Work(
        "cached",
        "A hit of a decorated function of an int",
        _contestants(BLOCKING, _blocking, *_INTS),
        (Goal("M5", OURS, 1.0, MOKA), Goal("M5", TEMPLATE, None, MOKA)),
        (MOKA, LRU_CACHE),
        plot=True,
    ),
    Work(
        "cached-text",
        "A hit of a decorated function of a str",
        _contestants(BLOCKING, _blocking, *_TEXTS),
        (Goal("M5", OURS, None, MOKA),),
        (MOKA, LRU_CACHE),
    ),
    Work(
        "acached",
        "A hit of a decorated coroutine function of an int",
        _contestants(ASYNCIO, _asyncio, *_INTS),
        (Goal("M5", OURS, 0.9, ASYNC_LRU),),
        (ASYNC_LRU,),
        plot=True,
    ),
)
