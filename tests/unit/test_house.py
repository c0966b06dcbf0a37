"""Rules of the house: how the two faces fit together, how long things are, what lies where."""

from __future__ import annotations

import ast
import inspect
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import symphra_cache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOME = symphra_cache.__name__
FACES = (f"{HOME}._async.", f"{HOME}._sync.")
ROOT = Path(__file__).resolve().parents[2]
TOP_LEVEL = {
    *("LICENSE", "README.md", "pyproject.toml", "tox.ini"),
    *("benchmarks", "docs", "scripts", "src", "tests"),
}
BUILT = {"PKG-INFO", "build", "dist", "site"}  # by tools; not in the repository
LONGEST_FILE = 420
LONGEST_FUNCTION = 40

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

# What Python itself puts into a class.
OF_PYTHON = {
    *("__annotations__", "__dict__", "__doc__", "__firstlineno__", "__module__"),
    *("__parameters__", "__slots__", "__static_attributes__", "__weakref__"),
}
TWINS = {
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
}
# Public methods that need no twin, for they do no I/O.
ONE_FOR_BOTH = {
    *("cached", "checked", "from_config", "from_env", "from_url", "key_for", "keyspace"),
    *("namespace", "recording", "stats", "usage"),
}


def composed_classes() -> Iterator[type]:
    """Yield the classes that put an asyncio and a blocking face together, subclasses too."""
    package = Path(symphra_cache.__file__).parent
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        if parts[1] in ("_async", "_sync") or FACES[0] not in path.read_text(encoding="utf-8"):
            continue
        module = import_module(".".join(parts))
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if kind.__module__ == module.__name__ and defined(kind, FACES):
                yield kind


def defined(kind: type, homes: tuple[str, ...]) -> set[str]:
    """Return the names that a class takes from bases in these packages."""
    bases = [base for base in kind.__mro__ if base.__module__.startswith(homes)]
    return {name for base in bases for name in vars(base)} - OF_PYTHON


def handwritten(kind: type) -> set[str]:
    """Return the names that a class defines, or takes from bases that are no faces."""
    bases = [base for base in kind.__mro__[:-1] if not base.__module__.startswith(FACES)]
    return {name for base in bases for name in vars(base)} - OF_PYTHON


def methods(kind: type) -> dict[str, Callable[..., Any]]:
    """Return the methods of a class, without those that every object has."""
    found = inspect.getmembers(kind, inspect.isroutine)
    return {name: method for name, method in found if not hasattr(object, name)}


def is_asynchronous(method: Callable[..., Any]) -> bool:
    """Tell whether to call it gives something to ``await`` or to iterate with ``async for``."""
    returns = getattr(method, "__annotations__", {}).get("return", "")
    return (
        inspect.iscoroutinefunction(method)
        or inspect.isasyncgenfunction(method)
        or str(returns).startswith("Async")
    )


def twin_of(name: str) -> str:
    """Return the blocking name of an asyncio method: ``_aload`` is ``_load``, ``aget`` ``get``."""
    bare = name.lstrip("_")
    return TWINS.get(name) or name.removesuffix(bare) + bare.removeprefix("a")


def shape(method: Callable[..., Any]) -> list[tuple[str, Any, Any]]:
    """Return the parameters of a method: names, kinds and defaults."""
    parameters = inspect.signature(method).parameters.values()
    return [(parameter.name, parameter.kind, parameter.default) for parameter in parameters]


COMPOSED = {kind.__name__: kind for kind in composed_classes()}
composed = pytest.mark.parametrize("kind", COMPOSED.values(), ids=COMPOSED)


def test_the_composed_classes_are_found() -> None:
    assert {"CacheManager", "FileBackend", "MemoryBackend", "NullBackend"} <= COMPOSED.keys()
    assert {"FileKeyspace", "MemoryKeyspace", "NullKeyspace"} <= COMPOSED.keys()


@composed
def test_the_faces_share_no_name(kind: type) -> None:
    asyncio_face, blocking_face = defined(kind, FACES[:1]), defined(kind, FACES[1:])
    assert asyncio_face
    assert blocking_face
    assert not asyncio_face & blocking_face


@composed
def test_nothing_written_by_hand_hides_a_method_of_a_face(kind: type) -> None:
    assert not handwritten(kind) & defined(kind, FACES)


@composed
def test_every_asyncio_method_has_its_blocking_twin(kind: type) -> None:
    found = methods(kind)
    asynchronous = {name for name, method in found.items() if is_asynchronous(method)}
    assert defined(kind, FACES[:1]) <= asynchronous
    for name in asynchronous:
        twin = twin_of(name)
        assert twin != name, f"{name} lacks its prefix"
        assert twin in found, f"{name} has no twin"
        assert not is_asynchronous(found[twin])
        assert shape(found[name]) == shape(found[twin]), name


@composed
def test_every_blocking_method_has_its_asyncio_twin(kind: type) -> None:
    found = methods(kind)
    twins = {twin_of(name) for name, method in found.items() if is_asynchronous(method)}
    assert defined(kind, FACES[1:]) <= twins
    blocking = {
        name for name, method in found.items() if name[0] != "_" and not is_asynchronous(method)
    }
    assert blocking - twins <= ONE_FOR_BOTH


def python_files() -> list[Path]:
    """Return what people write; the generated twin follows its source."""
    folders = ("benchmarks", "docs", "scripts", "src", "tests")
    found = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return sorted(path for path in found if "_sync" not in path.parts)


def test_no_file_and_no_function_is_too_long() -> None:
    too_long = []
    for path in python_files():
        text, name = path.read_text(encoding="utf-8"), path.relative_to(ROOT)
        if (lines := text.count("\n")) > LONGEST_FILE:
            too_long.append(f"{name}: {lines} lines, at most {LONGEST_FILE}")
        functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, FUNCTIONS)]
        too_long += [
            f"{name}: {node.name}: {lines}, at most {LONGEST_FUNCTION}"
            for node in functions
            if (lines := own_lines(node)) > LONGEST_FUNCTION
        ]
    assert not too_long, "\n".join(too_long)


def own_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count the lines of a function's body, those of functions inside it left out.

    The body alone: many arguments are an interface, not a long function.
    """
    lines = set(range(function.body[0].lineno, (function.end_lineno or 0) + 1))
    for node in ast.walk(function):
        if isinstance(node, FUNCTIONS) and node is not function:
            lines -= set(range(node.lineno, (node.end_lineno or 0) + 1))
    return len(lines)


def test_every_module_says_what_it_is() -> None:
    texts = {path.relative_to(ROOT): path.read_text(encoding="utf-8") for path in python_files()}
    assert texts
    assert not [str(name) for name, text in texts.items() if not described(text)]


def described(text: str) -> bool:
    return not text.strip() or bool(ast.get_docstring(ast.parse(text)))


def test_the_top_level_holds_what_belongs_there() -> None:
    present = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")} - BUILT
    assert not present - TOP_LEVEL, "the house has a place for this further down"
    # Git knows no empty folders, so these may be missing for a while.
    assert TOP_LEVEL - present <= {"benchmarks", "docs"}
