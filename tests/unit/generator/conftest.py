"""A scratch checkout on which the generator of the blocking twin is run."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "run_unasync.py"
MARKER = "# Source of the blocking twin: edit here, then run scripts/run_unasync.py.\n"
CODE = "src/symphra_cache"
TESTS = "tests/contract"


@dataclass
class Checkout:
    """A checkout with the two trees, and the generator to be run on it."""

    root: Path
    script: ModuleType
    capsys: pytest.CaptureFixture[str]

    def write(self, path: str, text: str) -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        return target

    def source(self, text: str, name: str = "ops.py", home: str = CODE) -> Path:
        return self.write(f"{home}/_async/{name}", MARKER + text)

    def twin(self, name: str = "ops.py", home: str = CODE) -> Path:
        return self.root / home / "_sync" / name

    def run(self, *options: str, explicit: Mapping[str, str] | None = None) -> tuple[int, str]:
        """Run the command; return its exit code and what it printed on stdout."""
        code = self.script.main(["--root", str(self.root), *options], explicit or {})
        captured = self.capsys.readouterr()
        assert bool(captured.err) == bool(code)
        self.errors = captured.err
        return code, captured.out

    def render(self, text: str, home: str = CODE) -> str:
        """Return the twin of a source, below its first line."""
        self.source(text, home=home)
        code, _ = self.run()
        assert code == 0, self.errors
        return self.twin(home=home).read_text(encoding="utf-8").split("\n", 1)[1]

    def refusals(self, explicit: Mapping[str, str] | None = None) -> list[str]:
        """Run both modes, which must refuse alike and write nothing; return the complaints."""
        before = self.files()
        found = []
        for options in ((), ("--check",)):
            code, out = self.run(*options, explicit=explicit)
            assert (code, out) == (1, "")
            found.append(self.errors)
        assert self.files() == before
        assert found[0] == found[1]
        *complaints, summary = found[0].splitlines()
        assert summary == f"Problems: {len(complaints)}. Nothing was written."
        return complaints

    def files(self) -> dict[str, bytes]:
        return {
            path.relative_to(self.root).as_posix(): path.read_bytes()
            for path in self.root.rglob("*")
            if path.is_file()
        }


@pytest.fixture
def checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Checkout:
    monkeypatch.syspath_prepend(SCRIPT.parent)
    (tmp_path / CODE).mkdir(parents=True)
    script = sys.modules.get("run_unasync") or importlib.import_module("run_unasync")
    return Checkout(tmp_path, script, capsys)
