"""The whole of it: read both trees, collect every problem, render the twins."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from . import checks, inheritance, render, scopes, table, trees, twin
from .trees import CODE, TESTS, Module, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from .table import Table
    from .trees import Tree


@dataclass
class Project:
    """What was found below a root: the problems, and the twins if there are none."""

    root: Path
    explicit: Mapping[str, str]
    script: Path
    problems: list[Problem] = field(default_factory=list)
    twins: twin.Twins = field(default_factory=twin.Twins)

    def examine(self) -> None:
        """Read and check both trees, the code first: the tests only add to its table."""
        names = table.Table()
        for name, blocking in self.explicit.items():
            names.add(name, blocking, *self._entry(name))
        sources: list[Module] = []
        for tree in (CODE, TESTS):
            sources += self._examine(tree, names)
        if sources:
            for name in checks.never_applied(sources, self.explicit):
                text = f"EXPLICIT entry `{name}` never applied: delete it"
                self.problems.append(Problem(*self._entry(name), text))
        self.problems = sorted(set(self.problems))

    def _examine(self, tree: Tree, names: Table) -> list[Module]:
        paths = trees.source_paths(self.root, tree)
        modules = self._read(paths)
        names.learn(modules)
        hand_written = self._read(trees.hand_written_paths(self.root, tree))
        names.learn(hand_written)
        self.problems += names.collapses()
        self.problems += inheritance.overrides(modules, hand_written, names.rename)
        sound = [module for module in modules if self._is_sound(module, tree, names)]
        self._render(sound, tree, names)
        strays = twin.orphans(self.root, tree.twin, map(tree.twin_of, paths))
        self.problems += twin.hand_written(self.root, tree.twin, strays)
        self.twins.orphans += strays
        return modules

    def _read(self, paths: Iterable[str]) -> list[Module]:
        found = [trees.read(self.root, path) for path in paths]
        self.problems += [each for each in found if isinstance(each, Problem)]
        return [each for each in found if isinstance(each, Module)]

    def _is_sound(self, module: Module, tree: Tree, names: Table) -> bool:
        """Check a source file; say whether rendering it tells anything more."""
        eaten = list(checks.eaten_tokens(module))
        self.problems += eaten
        self.problems += checks.marker_missing(module)
        self.problems += checks.unsafe_fstrings(module, names)
        self.problems += table.unprefixed(module, tree, self.explicit)
        self.problems += scopes.clashes(module, names.rename)
        return not eaten

    def _render(self, modules: Iterable[Module], tree: Tree, names: Table) -> None:
        sources = {module.path: module.text for module in modules}
        for source, text in render.render(sources, names.entries).items():
            path = tree.twin_of(source)
            below_first = text.partition("\n")[1:]
            whole = trees.header(source) + "".join(below_first)
            self.problems += checks.line_counts(path, sources[source], whole)
            self.problems += checks.leftovers(path, whole, names)
            self.twins.texts[path] = whole

    def _entry(self, name: str) -> tuple[str, int]:
        """Find the line of an entry of EXPLICIT."""
        lines = self.script.read_text(encoding="utf-8").split("\n")
        starts = (line.strip().startswith(f'"{name}":') for line in lines)
        line = next((number for number, found in enumerate(starts, 1) if found), 1)
        return f"scripts/{self.script.name}", line
