"""A tour of symphra_cache on real work; `scripts/demo` runs it.

The work: count the words in the documentation of the standard library's modules. To parse a
module takes some milliseconds, so the counts of each are cached, in memory, in a file and, if
REDIS_URL names a server, on Redis, by blocking and by asyncio code. A second process then finds in
the file what the first one left.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import os
import platform
import re
import subprocess
import sys
import sysconfig
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from symphra_cache import CacheManager, __version__
from symphra_cache.backends import FileBackend, MemoryBackend, RedisBackend

if TYPE_CHECKING:
    from collections.abc import Callable

    from symphra_cache.backends.base import Backend

Words: TypeAlias = "dict[str, int]"

MODULES = sorted(Path(sysconfig.get_path("stdlib")).glob("[a-t]*.py"))
READS = 4  # the first one computes, the others are served from the cache
HOUR = 3600


def count_words(module: Path) -> Words:
    """Do the slow work: parse a module, count the words of its documentation."""
    words: Counter[str] = Counter()
    for node in ast.walk(ast.parse(module.read_bytes())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            words.update(re.findall(r"[a-z]+", (ast.get_docstring(node) or "").lower()))
    return dict(words)


def read_all(cache: CacheManager) -> dict[str, Words]:
    """Count the words of every module, with a cache in front. The blocking face."""
    found = {}
    for module in MODULES:
        words = cache.get(module.stem)
        if words is None:
            words = count_words(module)
            cache.set(module.stem, words, ttl=HOUR)
        found[module.stem] = words
    return found


async def aread_all(cache: CacheManager) -> dict[str, Words]:
    """Do the same with the asyncio face: every name has an ``a`` in front."""
    found = {}
    for module in MODULES:
        words = await cache.aget(module.stem)
        if words is None:
            words = await asyncio.to_thread(count_words, module)
            await cache.aset(module.stem, words, ttl=HOUR)
        found[module.stem] = words
    return found


class Row(NamedTuple):
    """A row of the table: seconds, and the share of reads that the cache answered."""

    name: str
    first: float
    later: float
    hit_ratio: float

    def __str__(self) -> str:
        first, later = f"{self.first * 1e3:.1f} ms", f"{self.later * 1e3:.1f} ms"
        faster = f"{self.first / self.later:,.0f} x"
        return f"{self.name:<18}{first:>12}{later:>12}{faster:>10}{self.hit_ratio:>12.0%}"


def measure(name: str, cache: CacheManager) -> Row:
    """Time the first read, which computes everything, and the later ones."""
    times, results = [], []
    for _ in range(READS):
        started = time.perf_counter()
        results.append(read_all(cache))
        times.append(time.perf_counter() - started)
    assert all(result == results[0] for result in results)
    return Row(name, times[0], min(times[1:]), cache.stats().hit_ratio)


async def ameasure(name: str, cache: CacheManager) -> Row:
    """Do the same with the asyncio face."""
    times, results = [], []
    for _ in range(READS):
        started = time.perf_counter()
        results.append(await aread_all(cache))
        times.append(time.perf_counter() - started)
    assert all(result == results[0] for result in results)
    return Row(name, times[0], min(times[1:]), cache.stats().hit_ratio)


def show_life_of_an_entry(name: str, cache: CacheManager) -> None:
    """Show a miss, a hit by either face, and an expiry."""
    before = cache.get("greeting")
    cache.set("greeting", "hello")
    hit = cache.get("greeting")
    from_asyncio = asyncio.run(cache.aget("greeting"))  # both faces see the same entries
    cache.touch("greeting", ttl=0.1)
    time.sleep(0.15)
    after = cache.get("greeting", "gone")
    print(
        f"{name}: at first {before}, then {hit!r}, by aget {from_asyncio!r}, 0.1 s later {after!r}"
    )
    assert (before, hit, from_asyncio, after) == (None, "hello", "hello", "gone")


def backends(db: Path) -> dict[str, Callable[[], Backend]]:
    """Return how each backend is made; a program changes this line and nothing else."""
    makers: dict[str, Callable[[], Backend]] = {
        "memory": MemoryBackend,
        "file": lambda: FileBackend(db),
    }
    if url := os.environ.get("REDIS_URL"):
        makers["redis"] = lambda: RedisBackend(url)
    return makers


def compare(makers: dict[str, Callable[[], Backend]]) -> list[Row]:
    """Do the work with each backend by each face, on namespaces of their own."""
    rows = []
    for name, make in makers.items():
        with CacheManager(make(), namespace=f"demo-{os.getpid()}") as cache:
            show_life_of_an_entry(f"{name:<6}", cache)
            rows.append(measure(f"{name:<7} get/set", cache.namespace("blocking")))
    return rows


async def acompare(makers: dict[str, Callable[[], Backend]]) -> list[Row]:
    """Do the asyncio half."""
    rows = []
    for name, make in makers.items():
        async with CacheManager(make(), namespace=f"demo-{os.getpid()}") as cache:
            rows.append(await ameasure(f"{name:<7}aget/aset", cache.namespace("asyncio")))
            if name == "redis":
                await cache.aclear(nested=True)
    return rows


def read_as_second_process(db: Path, namespace: str) -> None:
    """Find in the file what the process before this one computed."""
    with CacheManager(FileBackend(db), namespace=namespace) as manager:
        cache = manager.namespace("blocking")
        started = time.perf_counter()
        total: Counter[str] = Counter()
        for words in read_all(cache).values():
            total.update(words)
        took = time.perf_counter() - started
        hits = cache.stats().hits
    long_words = [word for word, _ in total.most_common() if len(word) > 5][:6]
    print(
        f"process {os.getpid()}: {hits} of {len(MODULES)} modules were in the file ({took:.3f} s)"
    )
    print(
        f"the commonest of {len(total):,} words, longer than five letters: {', '.join(long_words)}"
    )
    assert hits == len(MODULES)


def main() -> None:
    """Run the tour, or its last station in a process of its own."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description="Tour of symphra_cache.")
    parser.add_argument(
        "--reread", nargs=2, metavar=("FILE", "NAMESPACE"), help="only read what a run left"
    )
    if left := parser.parse_args().reread:
        read_as_second_process(Path(left[0]), left[1])
        return
    print(
        f"symphra_cache {__version__} on Python {platform.python_version()}, process {os.getpid()}"
    )
    print(f"the work: the words in the documentation of {len(MODULES)} modules\n")
    with TemporaryDirectory(prefix="symphra-cache-demo-") as folder:
        db = Path(folder) / "demo.db"
        makers = backends(db)
        rows = [*compare(makers), *asyncio.run(acompare(makers))]
        print(f"\n{'':<18}{'first time':>12}{'later':>12}{'faster':>10}{'hit ratio':>12}")
        print(*rows, "", sep="\n", flush=True)
        subprocess.run(
            [sys.executable, __file__, "--reread", db, f"demo-{os.getpid()}"], check=True
        )


if __name__ == "__main__":
    main()
