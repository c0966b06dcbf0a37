"""What the generator does with files: write mode, ``--check``, and the command itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "run_unasync.py"
TWIN = "src/symphra_cache/_sync/ops.py"
REMEDY = "Run scripts/run_unasync.py and commit what it wrote.\n"


@pytest.fixture
def written(checkout):
    """A checkout with two twins that are up to date."""
    checkout.source("async def aget(): ...\n")
    checkout.source("x = 1\n", "test_x.py", home="tests/contract")
    assert checkout.run() == (
        0,
        f"wrote {TWIN}\nwrote tests/contract/_sync/test_x.py\nTwins: 2, changed or deleted: 2\n",
    )
    return checkout


def test_check_of_twins_that_are_right(written):
    assert written.run("--check") == (0, "Twins: 2, all up to date\n")


def test_check_of_a_stale_twin(written):
    written.source("async def aget(): ...\ny = 1\n")
    before = written.files()

    assert written.run("--check") == (1, "")

    assert written.errors == f"{TWIN}:3: stale: not what its source says\n{REMEDY}"
    assert written.files() == before


@pytest.mark.parametrize("edit", ["# by hand\n", " ", "\n"])
def test_check_of_a_twin_edited_below_its_header(written, edit):
    with written.twin().open("a") as twin:
        twin.write(edit)

    assert written.run("--check") == (1, "")
    assert "stale" in written.errors


def test_check_of_a_missing_twin(written):
    written.twin().unlink()
    before = written.files()

    assert written.run("--check") == (1, "")

    assert written.errors == f"{TWIN}:1: missing: its source has no twin yet\n{REMEDY}"
    assert written.files() == before


def test_check_of_an_orphan(written):
    written.source("x = 1\n", "old.py")
    written.run()
    (written.root / "src/symphra_cache/_async/old.py").unlink()
    before = written.files()

    assert written.run("--check") == (1, "")

    orphan = "src/symphra_cache/_sync/old.py"
    assert written.errors == f"{orphan}:1: orphan: its source is gone\n{REMEDY}"
    assert written.files() == before


def test_check_lists_every_difference(written):
    written.source("x = 1\n", "new.py")
    written.twin("test_x.py", "tests/contract").unlink()
    written.source("y = 1\n")

    written.run("--check")

    assert written.errors.count("\n") == 4


def test_writing_deletes_generated_orphans(written):
    written.source("x = 1\n", "deep/old.py")
    written.run()
    (written.root / "src/symphra_cache/_async/deep/old.py").unlink()

    code, out = written.run()

    orphan = "src/symphra_cache/_sync/deep/old.py"
    assert (code, out) == (0, f"deleted {orphan}\nTwins: 2, changed or deleted: 1\n")
    assert not (written.root / orphan).exists()


def test_writing_overwrites_edits_below_a_header(written):
    right = written.twin().read_text()
    written.twin().write_text(right + "# by hand\n")

    written.run()

    assert written.twin().read_text() == right


def test_writing_leaves_alone_what_is_right(written):
    other = written.twin("test_x.py", "tests/contract")
    for path in (written.twin(), other):
        os.utime(path, ns=(1, 1))
    written.source("async def aset(): ...\n")

    assert written.run() == (0, f"wrote {TWIN}\nTwins: 2, changed or deleted: 1\n")

    assert other.stat().st_mtime_ns == 1
    assert written.twin().stat().st_mtime_ns != 1


def test_bytecode_is_no_orphan(written):
    written.write("src/symphra_cache/_sync/__pycache__/old.cpython-311.pyc", "")
    written.write("src/symphra_cache/_sync/__pycache__/old.cpython-311.pyc.1234", "")
    written.write("src/symphra_cache/_sync/old.pyc", "")

    assert written.run("--check")[0] == 0


def test_twin_with_windows_line_ends_is_right(written):
    written.twin().write_bytes(written.twin().read_bytes().replace(b"\n", b"\r\n"))

    assert written.run("--check")[0] == 0


def test_root_that_is_no_checkout(written, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        written.script.main(["--root", str(tmp_path / "elsewhere")])
    assert "no src/symphra_cache below" in capsys.readouterr().err


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True, timeout=60
    )


def test_command_writes_checks_and_refuses(checkout):
    checkout.source("async def aget(): ...\n")
    run = (SCRIPT, "--root", checkout.root)

    missing, wrote, right = command(*run, "--check"), command(*run), command(*run, "--check")
    checkout.source("async def get(): ...\n")
    refused = command(*run)

    assert (missing.returncode, missing.stdout) == (1, "")
    assert (wrote.returncode, wrote.stderr) == (0, "")
    assert (right.returncode, right.stderr) == (0, "")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "name it `aget`" in refused.stderr


def test_command_without_unasync_names_the_remedy(checkout):
    found = command("-E", "-S", SCRIPT, "--root", checkout.root)

    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.endswith("is missing: run `pip install unasync setuptools`\n")
    assert found.stderr.count("\n") == 1
