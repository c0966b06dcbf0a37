"""What share of requests is answered from memory: LRU, S3-FIFO, and the best there could be.

    python -m pip install symphra-cache matplotlib
    python benchmarks/bench_hit_ratio.py --json hit_ratio.json --plot hit_ratio.svg

Each stream goes through a `CacheManager` over a `MemoryBackend`, empty at first: a get, and a
set if it missed. Time plays no part, so the same version gives the same figures everywhere.
matplotlib is needed for ``--plot`` only; ``--quick`` takes shorter streams over fewer keys.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import hit_ratio_plot
import traces
from optimum import optimal_hits
from symphra_cache import CacheManager
from symphra_cache.backends import MemoryBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

Policy = Literal["lru", "s3fifo"]
POLICIES: dict[Policy, str] = {"lru": "LRU", "s3fifo": "S3-FIFO"}
SHARES = (0.01, 0.1)  # capacity as a share of the universe


class Setting(NamedTuple):
    """What a stream is made for; many kinds are hard only at a certain size of the cache."""

    universe: int
    length: int
    capacity: int


FULL = (50_000, 1_000_000)
QUICK = (10_000, 100_000)

STREAMS: dict[str, Callable[[Setting], list[int]]] = {
    "zipf 0.8": lambda on: traces.zipf(on.universe, on.length, 0.8, seed=1),
    "zipf 0.9": lambda on: traces.zipf(on.universe, on.length, 0.9, seed=1),
    "zipf 1.0": lambda on: traces.zipf(on.universe, on.length, 1.0, seed=1),
    "zipf 1.2": lambda on: traces.zipf(on.universe, on.length, 1.2, seed=1),
    "zipf and scans": lambda on: traces.scanned(
        on.universe, on.length, 1.0, seed=1, every=2 * on.capacity, scan=on.capacity
    ),
    "loop": lambda on: traces.loop(on.capacity * 11 // 10, on.length),
    # SIEVE hits next to nothing here.
    "one echo": lambda on: traces.echo(on.length, distance=on.capacity * 3 // 10),
    "short reuse": lambda on: traces.short_reuse(3, on.capacity // 2, on.length, seed=1),
    # Beyond what the short queue of S3-FIFO sees: LRU is the better choice here.
    "late reuse": lambda on: traces.short_reuse(2, on.capacity * 5 // 2, on.length, seed=1),
    "hot set, slow shift": lambda on: shifting(on, periods=20),
    "hot set, fast shift": lambda on: shifting(on, periods=2),
}


def shifting(on: Setting, periods: int) -> list[int]:
    """Return a stream whose hot set fills half of the cache for some times its capacity."""
    return traces.shifting(
        *(on.universe, on.length, 1),
        hot=on.capacity // 2,
        share=0.9,
        period=periods * on.capacity,
    )


def replay(cache: CacheManager, keys: Iterable[str]) -> list[bool]:
    """Get each key, set it if it missed, and return which ones hit."""
    get, put = cache.get, cache.set
    hits = []
    for key in keys:
        hit = get(key) is not None
        if not hit:
            put(key, 1)
        hits.append(hit)
    return hits


def cached(policy: Policy, capacity: int) -> CacheManager:
    """Return an empty cache that evicts by this policy."""
    return CacheManager(MemoryBackend(max_size=capacity, eviction=policy))


def ratios(stream: Sequence[int], capacity: int) -> dict[str, float]:
    """Return the hit ratio of each policy and, under ``optimum``, the bound for all."""
    keys = [str(key) for key in stream]
    hits: dict[str, int] = {
        policy: sum(replay(cached(policy, capacity), keys)) for policy in POLICIES
    }
    hits["optimum"] = optimal_hits(stream, capacity)
    assert hits["optimum"] == max(hits.values()), f"better than the optimum: {hits}"
    return {policy: round(count / len(stream), 4) for policy, count in hits.items()}


def rows(universe: int, length: int) -> Iterator[dict[str, Any]]:
    """Measure each stream at each capacity."""
    for name, stream in STREAMS.items():
        for share in SHARES:
            capacity = round(universe * share)
            found = ratios(stream(Setting(universe, length, capacity)), capacity)
            yield {"stream": name, "share": share, "capacity": capacity, **found}


def measured(universe: int, length: int) -> dict[str, Any]:
    """Measure everything, and print each line of the table as soon as it is known."""
    print(f"{length:,} requests; capacity as a share of {universe:,} keys\n")
    names = [*POLICIES.values(), "optimum"]
    print(f"{'stream':<20}{'capacity':>14}", *(f"{name:>9}" for name in names))
    found = []
    for row in rows(universe, length):
        capacity = f"{row['capacity']:,} ({row['share']:.0%})"
        figures = (f"{row[name]:>9.3f}" for name in (*POLICIES, "optimum"))
        print(f"{row['stream']:<20}{capacity:>14}", *figures, flush=True)
        found.append(row)
    return {"universe": universe, "length": length, "rows": found}


def main() -> None:
    """Measure, print, and write what is asked for."""
    parser = argparse.ArgumentParser(description="hit ratios of the memory backend's policies")
    parser.add_argument("--quick", action="store_true", help="shorter streams, fewer keys")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw them; needs matplotlib")
    options = parser.parse_args()
    figures = measured(*(QUICK if options.quick else FULL))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    if options.plot:
        hit_ratio_plot.draw(figures, options.plot)


if __name__ == "__main__":
    main()
