"""Which module may import which: `LAYERS` from the top to the bottom, imports only go down.

An import counts wherever it stands: at the top, in a function or under ``TYPE_CHECKING``. All is
read from the source, so nothing needs to be installed.
"""

from __future__ import annotations

import ast
from fnmatch import fnmatchcase
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PACKAGE = "symphra_cache"
SOURCE = Path(__file__).resolve().parents[2] / "src" / PACKAGE

# A name without a wildcard goes before one with it. Within a layer any module may import any
# other, as long as no circle arises and `STRANGERS` doesn't forbid it.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("",),  # symphra_cache itself: the public names
    ("__main__", "cli", "cli.*", "contrib", "contrib.*"),
    ("testing", "testing.*", "monitoring", "monitoring.*"),
    ("manager", "decorators", "_decorating", "_cached_methods", "_cached_types"),
    ("config", "_config_*"),
    ("warming", "invalidation", "locks", "_degrading_keyspace", "_watched_keyspace"),
    ("_load_faces",),
    ("backends", "backends.*"),
    ("_async", "_async.*", "_sync", "_sync.*"),
    # What both faces share: states first, then what these are built of.
    ("_manager", "_degrading", "_memory", "_file", "_redis", "_null", "_cached", "_watched"),
    ("_loads", "_recordings"),
    ("_outages", "_debts"),
    ("_tags", "_events", "_primitives", "backends.base"),
    (
        "_hot_load",
        "_hot_tier",
        "_sqlite",
        "_sqlite_checkpoints",
        "_sqlite_connections",
        "_sqlite_files",
        "_sqlite_groups",
        "_sqlite_limits",
        "_sqlite_guarded",
        "_sqlite_identity",
        "_sqlite_outages",
        "_sqlite_quarantine",
        "_sqlite_schema",
        "_sqlite_worker",
        "_wal_index",
        "_redis_breaker",
        "_redis_cluster",
        "_redis_connections",
        "_redis_deployment",
        "_redis_direct",
        "_redis_errors",
        "_redis_injected",
        "_redis_line_pool",
        "_redis_link",
        "_redis_lines",
        "_redis_loops",
        "_redis_near",
        "_redis_near_backend",
        "_redis_nodes",
        "_redis_options",
        "_redis_pools",
        "_redis_replies",
        "_redis_scan",
        "_redis_scripts",
        "_redis_slots",
        "_redis_sentinel",
        "_redis_talks",
        "_redis_topology",
        "_redis_tracking",
        "_redis_unsent",
        "_memory_store",
        "_expiry",
        "_eviction",
        "_eviction.*",
    ),
    ("_flights", "_circles", "_callers"),
    # Keys of calls; a wrong name in a template is answered like a wrong option.
    ("_call_keys", "_key_templates"),
    # How text becomes options; also read by backends that take a URL themselves.
    ("_config_schema", "_config_types", "_config_urls"),
    (
        "_canonical",
        "_frame",
        "_isolation",
        "_integers",
        "_keys",
        "_patterns",
        "_sizes",
        "_ttl",
        "_usage",
    ),
    ("_clock", "_forks", "_log", "_loops", "_metrics", "_turns"),
    ("serializers", "serializers.*"),
    ("exceptions", "types"),
)

# In each group, the members of one family know nothing of the other families.
STRANGERS: tuple[tuple[tuple[str, ...], ...], ...] = (
    (("_async", "_async.*"), ("_sync", "_sync.*")),
    (
        (
            *("manager", "_manager", "_async.manager", "_sync.manager"),
            *("_outages", "_debts", "_degrading*", "_async.degrading", "_sync.degrading"),
        ),
        ("backends.memory", "_async.memory*", "_sync.memory*", "_memory*"),
        (
            *("backends.file", "_async.file*", "_sync.file*", "_file"),
            *("_sqlite*", "_hot_*", "_wal_index"),
        ),
        ("backends.redis", "_async.redis*", "_sync.redis*", "_redis*"),
        ("backends.null", "_async.null", "_sync.null", "_null"),
    ),
)

# Imports that break a rule, as (importer, imported), each with its reason.
ALLOWED: dict[tuple[str, str], str] = {}


class Import(NamedTuple):
    """That one module imports another."""

    importer: str
    imported: str
    line: int
    on_load: bool  # it happens when the importer itself is imported

    def __str__(self) -> str:
        return f"{self.importer or PACKAGE}:{self.line} imports {self.imported or PACKAGE}"


def read_sources() -> dict[str, str]:
    """Return the text of each module by its name below the package, which itself is ``""``."""
    sources = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        sources[name] = path.read_text(encoding="utf-8")
    return sources


def find_imports(sources: Mapping[str, str]) -> list[Import]:
    """Return every import of one module of the package by another."""
    return [
        Import(importer, imported, line, on_load)
        for importer, text in sources.items()
        for node, on_load in statements(ast.parse(text), on_load=True)
        for imported, line in targets(node, sources)
    ]


def statements(tree: ast.AST, *, on_load: bool) -> Iterator[tuple[ast.AST, bool]]:
    """Yield every node, with whether importing the module runs it."""
    for node in ast.iter_child_nodes(tree):
        yield node, on_load
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from statements(ast.Module(node.body, []), on_load=False)
            yield from statements(ast.Module(node.orelse, []), on_load=on_load)
        else:
            is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from statements(node, on_load=on_load and not is_function)


def targets(node: ast.AST, sources: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    """Yield the modules of the package that a statement imports."""
    if isinstance(node, ast.ImportFrom):
        assert not node.level, f"line {node.lineno}: write out the whole name of the module"
        full = [f"{node.module}.{alias.name}" for alias in node.names]
    elif isinstance(node, ast.Import):
        full = [alias.name for alias in node.names]
    else:
        return
    for name in full:
        top, _, below = name.partition(".")
        if top == PACKAGE:  # what isn't a module is a name that a module holds
            yield below if below in sources else below.rpartition(".")[0], node.lineno


def position(module: str, groups: tuple[tuple[str, ...], ...]) -> int | None:
    """Return the number of the group that names a module, or else of the first that matches."""
    for matches in (str.__eq__, fnmatchcase):
        for number, patterns in enumerate(groups):
            if any(matches(module, pattern) for pattern in patterns):
                return number
    return None


def is_up(found: Import) -> bool:
    importer, imported = position(found.importer, LAYERS), position(found.imported, LAYERS)
    return importer is not None and imported is not None and importer > imported


def is_strange(found: Import) -> bool:
    for families in STRANGERS:
        importer, imported = position(found.importer, families), position(found.imported, families)
        if importer is not None and imported is not None and importer != imported:
            return True
    return False


def complaints(sources: Mapping[str, str]) -> list[str]:
    """Return what is wrong with the imports of these modules."""
    found = find_imports(sources)
    judged = [each for each in found if (each.importer, each.imported) not in ALLOWED]
    circle = find_circle(found)
    return [
        *(f"{name}: put it into a layer of {Path(__file__).name}" for name in homeless(sources)),
        *(f"{each}, which stands above it" for each in judged if is_up(each)),
        *(f"{each}, of which it must know nothing" for each in judged if is_strange(each)),
        *([f"a circle of imports: {' <- '.join(circle)}"] if circle else []),
    ]


def homeless(sources: Mapping[str, str]) -> list[str]:
    return [name for name in sources if position(name, LAYERS) is None]


def find_circle(imports: list[Import]) -> list[str]:
    """Return modules of which each needs the one before it to load, the last being the first."""
    needs: dict[str, set[str]] = {}
    for found in imports:
        if found.on_load:
            needs.setdefault(found.importer, set()).add(found.imported)
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        return circle
    return []


def test_imports_go_down() -> None:
    sources = read_sources()
    assert {"manager", "_async.manager", "_sync.manager"} <= set(sources)
    assert not (found := complaints(sources)), "\n".join(found)


def test_each_exception_is_needed_and_explained() -> None:
    found = {(each.importer, each.imported) for each in find_imports(read_sources())}
    assert set(ALLOWED) <= found
    assert all(ALLOWED.values())


@pytest.mark.parametrize(
    ("sources", "complaint"),
    [
        ({"novelty": ""}, "novelty: put it into a layer of test_import_directions.py"),
        (
            {"_keys": "import symphra_cache.manager", "manager": ""},
            "_keys:1 imports manager, which stands above it",
        ),
        (
            {"types": "def f():\n    from symphra_cache import CacheManager", "": ""},
            "types:2 imports symphra_cache, which stands above it",
        ),
        (
            {"_ttl": "if TYPE_CHECKING:\n from symphra_cache._file import X", "_file": ""},
            "_ttl:2 imports _file, which stands above it",
        ),
        (
            {"_sync.memory": "from symphra_cache._async import memory", "_async.memory": ""},
            "_sync.memory:1 imports _async.memory, of which it must know nothing",
        ),
        (
            {"backends.redis": "from symphra_cache import _sqlite", "_sqlite": ""},
            "backends.redis:1 imports _sqlite, of which it must know nothing",
        ),
        (
            {"backends.file": "import symphra_cache._manager", "_manager": ""},
            "backends.file:1 imports _manager, of which it must know nothing",
        ),
        (
            {"_log": "from symphra_cache import _forks", "_forks": "import symphra_cache._log"},
            "a circle of imports: _log <- _forks <- _log",
        ),
    ],
)
def test_a_wrong_import_is_found(sources: dict[str, str], complaint: str) -> None:
    assert complaints(sources) == [complaint]


@pytest.mark.parametrize(
    "sources",
    [
        {"manager": "def f():\n    from symphra_cache.config import x", "config": ""},
        {
            "_log": "from symphra_cache import _forks",
            "_forks": "def f(): import symphra_cache._log",
        },
        {"_manager": "from symphra_cache.backends.base import Backend", "backends.base": ""},
        {"": "from symphra_cache.manager import CacheManager", "manager": "import asyncio"},
    ],
)
def test_a_right_import_passes(sources: dict[str, str]) -> None:
    assert complaints(sources) == []
