"""Renders the blocking twin of every asyncio source, or checks that it is up to date.

    python scripts/run_unasync.py            write what has changed
    python scripts/run_unasync.py --check    write nothing; exit 1 if a twin isn't right

`src/symphra_cache/_async` is rendered to `_sync` beside it, `tests/contract/_async` likewise.
The work is done by the `unasync` package, which replaces whole names (and strings that consist
of nothing but a name) and drops `async` and `await`. The table of names is worked out from
every `async def` of the source, and of the hand-written modules beside it where its name
carries the prefix: `aget` becomes `get`, `_aload` becomes `_load`. The tests' table holds the
code's names, too. Unasync itself knows `__aenter__`, `AsyncIterator` and the like, and makes
`SyncThing` of `AsyncThing`. For the rest there is `EXPLICIT`, below.

What is refused (every problem is listed, nothing is written, exit code 1):

- an `async def` in a source whose name doesn't carry the prefix (`naming.py` says how `aadd`
  is told from `add`); `__dunder__` names, and `test_…` in the tests, keep their names;
- two names that become one, in the table, wherever both can be seen (`scopes.py`), or by
  overriding what a class inherits (`inheritance.py`);
- an entry of `EXPLICIT` that never applied;
- `await` or `async` that no space follows: unasync drops the next token, whatever it is;
- an f-string that holds a name to replace: Python 3.11 and 3.12 split it differently;
- a source whose first line isn't the marker; in the twin the header takes its place, so that
  both have the same number of lines;
- words in the twin that aren't true of it, in strings, comments and docstrings, too: `await`,
  `awaitable`, `async`, `asyncio`, `coroutine`, `Async…`, and every name in the table; also
  names that only `EXPLICIT` could replace: `anext`, `aiter`, `aclosing`, `_async`;
- a file in the twin's folder without the generated header. One with the header but without a
  source is deleted.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from _unasync.project import Project

SCRIPT = Path(__file__).resolve()
REQUIRED = frozenset({"distutils", "setuptools", "tokenize_rt", "unasync"})

# Names that no `async def` tells of, with the reason on each line, in this form:
#     "ALock": "Lock",  # a pair of classes in _primitives.py
# An entry wins over what is worked out; one that never applies is refused.
EXPLICIT: dict[str, str] = {}


def main(argv: Sequence[str] | None = None, explicit: Mapping[str, str] = EXPLICIT) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(description="Render the blocking twin.")
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")
    parser.add_argument("--root", type=Path, default=SCRIPT.parents[1], help="the checkout")
    options = parser.parse_args(argv)
    if not (options.root / "src/symphra_cache").is_dir():
        parser.error(f"no src/symphra_cache below {options.root}")
    sys.path.insert(0, str(SCRIPT.parent))
    try:
        from _unasync.project import Project
    except ModuleNotFoundError as error:
        if error.name not in REQUIRED:
            raise
        print(f"{error.name} is missing: run `pip install unasync setuptools`", file=sys.stderr)
        return 2
    finally:
        sys.path.remove(str(SCRIPT.parent))
    project = Project(options.root, explicit, SCRIPT)
    project.examine()
    return check(project) if options.check else write(project)


def check(project: Project) -> int:
    """Say what isn't up to date."""
    if project.problems:
        return refuse(project)
    differences = sorted(project.twins.differences(project.root))
    for difference in differences:
        print(difference, file=sys.stderr)
    if differences:
        print("Run scripts/run_unasync.py and commit what it wrote.", file=sys.stderr)
        return 1
    print(f"Twins: {len(project.twins.texts)}, all up to date")
    return 0


def write(project: Project) -> int:
    """Bring the twins up to date."""
    if project.problems:
        return refuse(project)
    changes = list(project.twins.write(project.root))
    for change in changes:
        print(change)
    print(f"Twins: {len(project.twins.texts)}, changed or deleted: {len(changes)}")
    return 0


def refuse(project: Project) -> int:
    """List the problems."""
    for problem in project.problems:
        print(problem, file=sys.stderr)
    print(f"Problems: {len(project.problems)}. Nothing was written.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
