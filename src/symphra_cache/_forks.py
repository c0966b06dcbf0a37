"""What must happen around ``os.fork``: one registry for everything that holds locks or files.

Registered objects are held weakly. Before a fork each brings itself into a state that a child
can start from; then the parent goes on, and the child makes its locks and connections anew.
"""

from __future__ import annotations

import os
import threading
import weakref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class ForkAware(Protocol):
        """Something that has to know about forks."""

        def before_fork(self) -> None:
            """Finish what is under way and hold what follows, until one of the others."""

        def after_fork_in_parent(self) -> None:
            """Go on."""

        def after_fork_in_child(self) -> None:
            """Drop what belongs to the parent; make locks anew."""


__all__ = ["fork_aware"]

_registered: weakref.WeakSet[ForkAware] = weakref.WeakSet()
_registering = threading.Lock()
_holding: list[ForkAware] = []


def fork_aware(thing: ForkAware) -> None:
    """Have ``thing`` told of every fork for as long as it lives."""
    with _registering:
        _registered.add(thing)


def _before() -> None:
    _registering.acquire()
    _holding.extend(_registered)
    for thing in _holding:
        thing.before_fork()


def _in_parent() -> None:
    try:
        for thing in reversed(_holding):
            thing.after_fork_in_parent()
    finally:
        _holding.clear()
        _registering.release()


def _in_child() -> None:
    try:
        for thing in _holding:
            thing.after_fork_in_child()
    finally:
        _holding.clear()
        _registering.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
