"""The replacement table: worked out from the ``async def`` of a tree, plus explicit entries."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from . import render
from .naming import blocking_name, complaint, is_dunder
from .trees import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .trees import Module, Tree


@dataclass
class Table:
    """What is replaced by what, and where each name was first seen."""

    entries: dict[str, str] = field(default_factory=dict)
    origins: dict[str, tuple[str, int]] = field(default_factory=dict)

    def add(self, name: str, blocking: str, path: str, line: int) -> None:
        """Enter a name; whoever came first stays."""
        if name not in self.entries:
            self.entries[name] = blocking
            self.origins[name] = (path, line)

    def learn(self, modules: Iterable[Module]) -> None:
        """Enter every ``async def`` of some modules that carries the prefix."""
        for module in modules:
            for function in async_functions(module):
                blocking = blocking_name(function.name)
                if blocking is not None:
                    self.add(function.name, blocking, module.path, function.lineno)

    def rename(self, name: str) -> str:
        """Return what a name becomes in the twin; names without an entry stay."""
        return render.rename(name, self.entries)

    def collapses(self) -> Iterator[Problem]:
        """Refuse two names that become one."""
        own = {name: to for name, to in render.OWN_TABLE.items() if name not in self.entries}
        owners = {to: name for name, to in own.items()}
        for name, blocking in self.entries.items():
            other = owners.setdefault(blocking, name)
            if other != name:
                path, line = self.origins[name]
                yield Problem(
                    path, line, f"`{other}` and `{name}` both become `{blocking}`: rename one"
                )


def async_functions(module: Module) -> Iterator[ast.AsyncFunctionDef]:
    """Find every ``async def`` of a module, nested ones too."""
    for node in ast.walk(module.syntax):
        if isinstance(node, ast.AsyncFunctionDef):
            yield node


def unprefixed(module: Module, tree: Tree, explicit: Mapping[str, str]) -> Iterator[Problem]:
    """Refuse each ``async def`` of a source file whose name carries no prefix."""
    for function in async_functions(module):
        name = function.name
        is_test = tree.holds_tests and name.startswith("test_")
        if is_test or is_dunder(name) or name in explicit:
            continue
        if blocking_name(name) is None:
            yield Problem(module.path, function.lineno, complaint(name))
