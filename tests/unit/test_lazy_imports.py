"""What a program doesn't use it doesn't load; a fresh interpreter tells."""

from __future__ import annotations

import os
import subprocess
import sys

HEAVY = {
    *("aiosqlite", "asyncio", "hiredis", "msgpack", "ormsgpack", "prometheus_client"),
    *("redis", "sqlite3", "statsd", "yaml", "zstandard"),
}
MEMORY = """
from symphra_cache import CacheManager
from symphra_cache.backends import MemoryBackend

cache = CacheManager(MemoryBackend())
assert cache.get("k") is None
"""
WRITING = f"""{MEMORY}
cache.set("k", {{"name": ["flat", 1]}}, ttl=60)
cache.set("n", 1)
assert cache.get_many(["k", "n"]) == {{"k": {{"name": ["flat", 1]}}, "n": 1}}
"""
DECORATED = f"""{MEMORY}
@cache.cached(ttl=60)
def double(n):
    return 2 * n

assert double(1) == double(1) == 2
assert double.stats().hits == 1
"""


def loaded_by(program: str) -> set[str]:
    """Return the top-level modules that are loaded when a program ends."""
    report = "import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    # Measured for coverage, a process loads sqlite3 to write down what it ran.
    environment = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}
    finished = subprocess.run(
        [sys.executable, "-I", "-c", f"{program}\n{report}"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )
    return set(finished.stdout.split())


def test_a_bare_interpreter_loads_nothing_heavy() -> None:
    assert not loaded_by("") & HEAVY


def test_a_miss_in_memory_loads_nothing_heavy() -> None:
    loaded = loaded_by(MEMORY)
    assert "symphra_cache" in loaded
    assert not loaded & HEAVY


def test_a_hit_in_memory_loads_nothing_heavy() -> None:
    assert not loaded_by(WRITING) & HEAVY


def test_only_who_decorates_pays_for_it() -> None:
    assert "inspect" not in loaded_by(MEMORY) - loaded_by("")
    assert not loaded_by(DECORATED) & HEAVY
