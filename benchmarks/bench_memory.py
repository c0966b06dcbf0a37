"""Measures the family ``memory``; `scripts/bench memory` does the set-up and calls this."""

from __future__ import annotations

from families.memory import PACKAGES, WORKS
from harness.command import main

if __name__ == "__main__":
    main("memory", WORKS, PACKAGES)
