"""Names that would clash in the twin: ``aget`` and ``get`` where both can be seen.

A renaming is safe if every name of the source still means the same thing afterwards. So for
each name that a scope uses, we go outward to the scope that binds it, and refuse if on the way
stands another name that becomes the same. In a class, its own names and the attributes of
``self`` and ``cls`` are compared with each other, too: inherited helpers count by their use.
"""

from __future__ import annotations

import ast
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .trees import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .trees import Module

    Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@dataclass
class Scope:
    """A module, class or function: what it binds and uses, each with its first line.

    Of a class also the attributes of ``self`` and ``cls``: those used, and those assigned.
    """

    outer: Scope | None
    is_class: bool = False
    name: str = ""
    bases: tuple[str, ...] = ()
    bound: dict[str, int] = field(default_factory=dict)
    used: dict[str, int] = field(default_factory=dict)
    attributes: dict[str, int] = field(default_factory=dict)
    assigned: dict[str, int] = field(default_factory=dict)

    def chain(self) -> Iterator[Scope]:
        """Go the way on which Python looks up a name: classes are left out."""
        yield self
        scope = self.outer
        while scope is not None:
            if not scope.is_class:
                yield scope
            scope = scope.outer

    def around(self) -> Scope | None:
        """Return the class that a method, or a function in it, belongs to."""
        scope: Scope | None = self
        while scope is not None and not scope.is_class:
            scope = scope.outer
        return scope


class _Collector(ast.NodeVisitor):
    """Builds the scopes of a module. A comprehension counts as part of the scope it is in."""

    def __init__(self) -> None:
        self.scope = Scope(None)
        self.scopes = [self.scope]

    def _bind(self, name: str | None, line: int) -> None:
        if name is not None:
            self.scope.bound.setdefault(name, line)

    @contextmanager
    def _inside(self, scope: Scope) -> Iterator[None]:
        self.scope, outer = scope, self.scope
        self.scopes.append(scope)
        yield
        self.scope = outer

    def _visit_function(self, node: Function) -> None:
        arguments = node.args
        named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        named += [each for each in (arguments.vararg, arguments.kwarg) if each]
        defaults = [*arguments.defaults, *arguments.kw_defaults]
        annotations = [each.annotation for each in named]
        if isinstance(node, ast.Lambda):
            body: list[ast.stmt] | list[ast.expr] = [node.body]
        else:
            self._bind(node.name, node.lineno)
            body = node.body
            annotations += [*node.decorator_list, node.returns]
        for expression in (*defaults, *annotations):
            if expression is not None:
                self.visit(expression)
        with self._inside(Scope(self.scope)):
            for argument in named:
                self._bind(argument.arg, argument.lineno)
            for part in body:
                self.visit(part)

    visit_FunctionDef = _visit_function
    visit_AsyncFunctionDef = _visit_function
    visit_Lambda = _visit_function

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._bind(node.name, node.lineno)
        for expression in (*node.decorator_list, *node.bases, *node.keywords):
            self.visit(expression)
        bases = tuple(ast.unparse(base).split("[")[0].split(".")[-1] for base in node.bases)
        with self._inside(Scope(self.scope, is_class=True, name=node.name, bases=bases)):
            for statement in node.body:
                self.visit(statement)

    def visit_Name(self, node: ast.Name) -> None:
        names = self.scope.used if isinstance(node.ctx, ast.Load) else self.scope.bound
        names.setdefault(node.id, node.lineno)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        owner = self.scope.around()
        if isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"} and owner:
            owner.attributes.setdefault(node.attr, node.lineno)
            if isinstance(node.ctx, ast.Store):
                owner.assigned.setdefault(node.attr, node.lineno)
        self.generic_visit(node)

    def visit_alias(self, node: ast.alias) -> None:
        self._bind(node.asname or node.name.split(".")[0], node.lineno)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        self._bind(node.name, node.lineno)
        self.generic_visit(node)

    def visit_MatchAs(self, node: ast.MatchAs) -> None:
        self._bind(node.name, node.lineno)
        self.generic_visit(node)


def scopes_of(module: Module) -> list[Scope]:
    """Return every scope of a module, the module's own first."""
    collector = _Collector()
    collector.visit(module.syntax)
    return collector.scopes


def clashes(module: Module, rename: Callable[[str], str]) -> Iterator[Problem]:
    """Refuse each pair of names in a source file that would become one in its twin."""
    found: dict[tuple[int, frozenset[str]], None] = {}
    for scope in scopes_of(module):
        for line, name, other in _clashes_in(scope, rename):
            found[line, frozenset((name, other))] = None
    for line, pair in found:
        first, second = sorted(pair)
        text = f"`{first}` and `{second}` would both be `{rename(first)}` here: rename one"
        yield Problem(module.path, line, text)


def _clashes_in(scope: Scope, rename: Callable[[str], str]) -> Iterator[tuple[int, str, str]]:
    if scope.is_class:
        members = {**scope.attributes, **scope.bound}
        for name, line in members.items():
            for other in _rivals(name, members, rename):
                yield max(line, members[other]), name, other
    for name, line in {**scope.used, **scope.bound}.items():
        for place in scope.chain():
            for other in _rivals(name, place.bound, rename):
                yield max(line, place.bound[other]), name, other
            if name in place.bound:
                break


def _rivals(name: str, names: dict[str, int], rename: Callable[[str], str]) -> list[str]:
    target = rename(name)
    return [other for other in names if other != name and rename(other) == target]
