"""Measures the family ``loads``; `scripts/bench loads` does the set-up and calls this."""

from __future__ import annotations

from families.loads import PACKAGES, WORKS
from harness.command import main

if __name__ == "__main__":
    main("loads", WORKS, PACKAGES)
