"""What the documentation of the Redis backend says in its tables and rules."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = (Path(__file__).parents[1] / "docs/en/backends/redis.md").read_text(encoding="utf-8")
APP, WATCHER = "app", "watcher"


def rows(heading: str) -> list[list[str]]:
    """Return the rows of the table whose first column is headed so."""
    table = PAGE.partition(f"\n| {heading} |")[2].partition("\n\n")[0]
    # A bar that belongs to the text is escaped.
    return [
        [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in table.splitlines()[2:]
    ]


def quoted(text: str) -> list[str]:
    """Return what stands in a text as code."""
    return re.findall("`([^`]+)`", text)


def rule(user: str) -> list[str]:
    """Return what the page gives a user."""
    found = re.search(rf"^user {user} (.+)$", PAGE, re.MULTILINE)
    assert found
    return found[1].split()
