"""Leaves out what needs an extra that is not installed; its absence has tests of its own."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore = [] if find_spec("zstandard") else ["test_zstd.py"]
