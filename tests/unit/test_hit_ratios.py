"""What share of requests each eviction policy of the memory backend answers.

The streams are those of ``benchmarks/bench_hit_ratio.py``, over fewer keys, and shorter.
"""

from __future__ import annotations

import json
import sys
from collections import OrderedDict
from functools import cache
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from faces import Caller
    from symphra_cache import CacheManager

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
UNIVERSE, LENGTH = 2_000, 20_000

# What S3-FIFO hits at the least, a little below what it was when this was written, with the
# cache holding 1 % and 10 % of the keys.
FLOORS = {
    "zipf 0.8": (0.22, 0.475),
    "zipf 0.9": (0.3, 0.57),
    "zipf 1.0": (0.4, 0.665),
    "zipf 1.2": (0.6, 0.82),
    "zipf and scans": (0.265, 0.43),
    "loop": (0.7, 0.72),
    "one echo": (0.33, 0.33),
    "short reuse": (0.45, 0.515),
    "late reuse": (0.05, 0.09),
    "hot set, slow shift": (0.825, 0.85),
    "hot set, fast shift": (0.445, 0.49),
}
SHARES = (0.01, 0.1)
each_stream = pytest.mark.parametrize("name", FLOORS)
each_share = pytest.mark.parametrize("share", SHARES, ids=["1%", "10%"])


@pytest.fixture(scope="module")
def bench() -> Iterator[Any]:
    """Import `bench_hit_ratio` from its folder; nothing of it stays behind in `sys`."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        yield import_module("bench_hit_ratio")
    finally:
        sys.path.remove(str(BENCHMARKS))
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", "")).startswith(str(BENCHMARKS)):
                del sys.modules[name]


@pytest.fixture(scope="module")
def stream(bench: Any) -> Callable[[str, float], list[int]]:
    """Return what makes a stream by its name, once, for a share of the keys."""

    @cache
    def made(name: str, share: float) -> list[int]:
        found: list[int] = bench.STREAMS[name](bench.Setting(UNIVERSE, LENGTH, size(share)))
        return found

    return made


def size(share: float) -> int:
    return round(UNIVERSE * share)


async def areplay(cache: CacheManager, keys: Sequence[str]) -> list[bool]:
    hits = []
    for key in keys:
        hit = await cache.aget(key) is not None
        if not hit:
            await cache.aset(key, 1)
        hits.append(hit)
    return hits


def replayed(call: Caller, bench: Any, cache: CacheManager, stream: Sequence[int]) -> list[bool]:
    """Send a stream through the face under test; tell which requests hit."""
    keys = [str(key) for key in stream]
    if call.runner is not None:
        return call.runner.run(areplay(cache, keys))
    hits: list[bool] = bench.replay(cache, keys)
    return hits


def lru_model(stream: Sequence[int], capacity: int) -> list[bool]:
    """Tell which requests an LRU cache hits, by the definition."""
    kept: OrderedDict[int, None] = OrderedDict()
    hits = []
    for key in stream:
        hits.append(key in kept)
        kept[key] = None
        kept.move_to_end(key)
        if len(kept) > capacity:
            kept.popitem(last=False)
    return hits


def most_hits(stream: Sequence[int], capacity: int) -> int:
    """Try every choice that a cache has."""

    @cache
    def hits(place: int, kept: frozenset[int]) -> int:
        if place == len(stream):
            return 0
        key = stream[place]
        if key in kept:
            return 1 + hits(place + 1, kept)
        full = kept | {key}
        if len(full) <= capacity:
            return hits(place + 1, full)
        return max(hits(place + 1, full - {victim}) for victim in full)

    return hits(0, frozenset())


def test_every_stream_has_its_floors(bench: Any) -> None:
    assert list(FLOORS) == list(bench.STREAMS)
    assert SHARES == bench.SHARES


@each_share
@each_stream
def test_a_stream_is_as_long_as_asked_and_always_the_same(
    bench: Any, stream: Callable[[str, float], list[int]], name: str, share: float
) -> None:
    first = stream(name, share)
    again = bench.STREAMS[name](bench.Setting(UNIVERSE, LENGTH, size(share)))
    assert len(first) == LENGTH
    assert first == again


@each_share
@each_stream
def test_lru_hits_and_misses_exactly_as_the_model(
    call: Caller,
    bench: Any,
    stream: Callable[[str, float], list[int]],
    name: str,
    share: float,
) -> None:
    requests = stream(name, share)
    hits = replayed(call, bench, bench.cached("lru", size(share)), requests)
    assert hits == lru_model(requests, size(share))


@each_share
@each_stream
def test_s3fifo_hits_as_often_as_it_did_through_either_face(
    call: Caller,
    bench: Any,
    stream: Callable[[str, float], list[int]],
    name: str,
    share: float,
) -> None:
    hits = replayed(call, bench, bench.cached("s3fifo", size(share)), stream(name, share))
    ratio = sum(hits) / LENGTH
    print(f"{name}, {share:.0%}: {ratio:.3f}")
    assert ratio >= FLOORS[name][SHARES.index(share)]


@each_share
@each_stream
def test_no_policy_hits_more_than_the_optimum(
    bench: Any, stream: Callable[[str, float], list[int]], name: str, share: float
) -> None:
    ratios = bench.ratios(stream(name, share), size(share))
    assert ratios["optimum"] >= max(ratios["lru"], ratios["s3fifo"]) >= 0


@pytest.mark.parametrize("exponent", ["0.8", "0.9", "1.0", "1.2"])
@each_share
def test_s3fifo_hits_more_than_lru_where_few_keys_are_popular(
    bench: Any, stream: Callable[[str, float], list[int]], exponent: str, share: float
) -> None:
    ratios = bench.ratios(stream(f"zipf {exponent}", share), size(share))
    assert ratios["s3fifo"] >= ratios["lru"] + 0.015


def test_the_hit_ratios_that_are_our_goal(bench: Any) -> None:
    """Zipf 1.0 over 50,000 keys, a tenth of them cached."""
    requests = bench.traces.zipf(50_000, 1_000_000, 1.0, seed=1)
    ratios = bench.ratios(requests, 5_000)
    print(ratios)
    assert ratios["lru"] == pytest.approx(0.720, abs=0.001)
    assert ratios["s3fifo"] >= 0.765


@pytest.mark.parametrize("capacity", [1, 2, 3])
def test_the_optimum_is_what_trying_everything_finds(bench: Any, capacity: int) -> None:
    for requests in product(range(4), repeat=7):
        if requests[0] == 0:  # the others are these with their keys renamed
            assert bench.optimal_hits(requests, capacity) == most_hits(requests, capacity), requests


def test_the_benchmark_prints_a_table_and_writes_its_figures(
    bench: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "QUICK", (500, 1_000))
    monkeypatch.setattr(sys, "argv", ["bench", "--quick", "--json", str(tmp_path / "out.json")])
    bench.main()
    figures = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert len(figures["rows"]) == len(FLOORS) * len(SHARES)
    assert all(0 <= row["lru"] <= row["optimum"] <= 1 for row in figures["rows"])
    assert "zipf and scans" in capsys.readouterr().out
