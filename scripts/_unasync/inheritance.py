"""Methods that would silently override something inherited, in the twin only.

A face with ``_aload`` above a hand-written state class with ``_load``: the asyncio face has
both, but in the twin the one replaces the other. Classes are found by their bare name, which
is exact enough: a base that isn't found is left alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .scopes import scopes_of
from .trees import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .scopes import Scope
    from .trees import Module

    Classes = dict[str, list[tuple[Module, Scope]]]


def overrides(
    sources: Iterable[Module], hand_written: Iterable[Module], rename: Callable[[str], str]
) -> Iterator[Problem]:
    """Refuse methods of source classes that become the name of an inherited helper."""
    faces = _classes(sources)
    everything = {**_classes(hand_written), **faces}
    for module, face in (found for same_name in faces.values() for found in same_name):
        changed = {name: line for name, line in face.bound.items() if rename(name) != name}
        for ancestor_module, ancestor in _ancestors(face, everything):
            members = {**ancestor.assigned, **ancestor.bound}
            in_twin = {rename(name) if ancestor.name in faces else name: name for name in members}
            for name in changed.keys() - members.keys():
                if other := in_twin.get(rename(name)):
                    place = f"{ancestor_module.path}:{members[other]}"
                    text = f"`{name}` would override `{other}` ({place}) in the twin: rename one"
                    yield Problem(module.path, changed[name], text)


def _classes(modules: Iterable[Module]) -> Classes:
    found: Classes = {}
    for module in modules:
        for scope in scopes_of(module):
            if scope.is_class:
                found.setdefault(scope.name, []).append((module, scope))
    return found


def _ancestors(face: Scope, classes: Classes) -> Iterator[tuple[Module, Scope]]:
    known, left = {face.name}, list(face.bases)
    while left:
        base = left.pop()
        if base not in known:
            known.add(base)
            for module, scope in classes.get(base, ()):
                left += scope.bases
                yield module, scope
