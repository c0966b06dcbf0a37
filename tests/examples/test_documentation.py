"""Every code block of the README and the documentation runs, and prints what it shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from development_mode import complaints
from documented_servers import documented_servers

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# The word after the language names what a block needs; see `documented_servers`.
FENCE = re.compile(r"^```(\w*)(?: (\w+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NOT_RUN = {"text"}
LINK = re.compile(r"\]\((?!https?://)([^)#\s]*)#?([^)\s]*)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


class Block(NamedTuple):
    where: str
    language: str
    needs: str | None
    code: str
    shown: str | None


def blocks() -> list[Block]:
    """Return the code blocks of all pages, each with the output that follows it."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        fences = list(FENCE.finditer(text))
        for number, fence in enumerate(fences):
            line = text.count("\n", 0, fence.start()) + 1
            following = fences[number + 1 : number + 2]
            shown = following[0][3] if following and following[0][1] == "text" else None
            where = f"{page.relative_to(ROOT)}:{line}"
            found.append(Block(where, fence[1], fence[2], fence[3], shown))
    return [block for block in found if block.language not in NOT_RUN]


def test_there_are_blocks_and_no_language_that_nobody_runs() -> None:
    assert {block.language for block in blocks()} == {"python"}


@pytest.mark.parametrize("block", blocks(), ids=lambda block: block.where)
def test_a_block_runs_and_prints_what_is_shown(block: Block, tmp_path: Path) -> None:
    with documented_servers(block.needs, block.code) as (code, environment):
        told = subprocess.run(
            [sys.executable, "-X", "dev", "-W", "error", "-c", code],
            cwd=tmp_path,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
    assert (told.returncode, complaints(told.stderr)) == (0, "")
    assert told.stdout == (block.shown or "")


def anchors(page: Path) -> set[str]:
    """Return where links into a page can lead."""
    headings = HEADING.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_pages_and_headings_that_are_there(page: Path) -> None:
    for target, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        found = page.parent / target if target else page
        assert found.exists(), target
        assert not anchor or anchor in anchors(found), f"{target}#{anchor}"


@pytest.mark.parametrize("command", ["demo", "test"])
def test_the_readmes_commands_are_there_and_can_be_run(command: str) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"`./scripts/{command}`" in readme
    told = subprocess.run(
        [ROOT / "scripts" / command, "--help"], capture_output=True, text=True, check=True
    )
    assert told.stdout.startswith("usage:")
