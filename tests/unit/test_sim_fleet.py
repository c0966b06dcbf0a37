"""The model of a fleet of near caches: against a replay of its traffic, and where it is obvious."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "benchmarks"
DOCUMENT = ROOT / "docs" / "en" / "performance.md"
PRELUDE = """
from dataclasses import replace
from sim_fleet import *

fleet = Fleet(hosts=100, keys=20_000, capacity=1_000)
few = Fleet(hosts=10, keys=2_000, reads=100.0, capacity=300)
"""


def shown(program: str) -> list[str]:
    """Run a program beside the model; return what it prints."""
    told = subprocess.run(
        [sys.executable, "-c", PRELUDE + program],
        cwd=BENCHMARKS,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    return told.stdout.splitlines()


def test_the_model_says_what_a_replay_counts() -> None:
    lines = shown("""
ways = (few, replace(few, writes=5.0), replace(few, lifetime=2.0), replace(few, capacity=2_000))
for way in ways:
    counted, modelled = simulated(way, 100_000), outcome(way)
    print(counted.hits, counted.heard, modelled.hits)
""")
    print(lines)
    assert len(lines) == 4
    for line in lines:
        hits, heard, modelled = map(float, line.split())
        assert 0.1 < hits < 0.95
        assert abs(hits - modelled) < 0.03
        assert abs(heard - modelled) < 0.05


def test_all_keys_are_in_a_group_and_their_shares_are_a_whole() -> None:
    lines = shown("""
for keys in (1, 7, 200, 201, 20_000):
    found = groups(keys, 1.0)
    print(sum(one.count for one in found) == keys, round(sum(n * share for n, share in found), 9))
""")
    assert lines == ["True 1.0"] * 5


def test_a_near_cache_is_full_and_no_more() -> None:
    (line,) = shown("""
lasting = replace(fleet, hosts=1, writes=0.0, lifetime=1e6)
print(sum(one.group.count * one.share for one in held(lasting)))
""")
    assert 990 < float(line) <= 1_000


def test_without_near_caches_all_commands_arrive_and_nothing_is_pushed() -> None:
    (line,) = shown("""
found = outcome(replace(fleet, capacity=0, nodes=1, hosts_per_node=100.0))
print(round(found.commands), found.by_pushes, found.wait, found.stale, found.hits, found.clients)
""")
    assert line == "100100 0.0 0.0 0.0 0.0 100"


def test_each_further_host_makes_pushes_dearer_and_hits_rarer() -> None:
    (line,) = shown("""
calm = replace(fleet, reads=100.0)
sizes = [outcome(replace(calm, hosts=hosts)) for hosts in (1, 10, 100, 1_000, 3_000)]
for smaller, larger in zip(sizes, sizes[1:]):
    assert larger.hits < smaller.hits
    assert larger.delay > smaller.delay
    assert larger.last > larger.delay
    assert larger.stale > smaller.stale
    assert larger.handling > smaller.handling
print("yes")
""")
    assert line == "yes"


def test_a_node_that_broadcasts_is_never_busy_beyond_its_time() -> None:
    (line,) = shown("""
found = [pushing(fleet, written, 1_000.0, 0.5)[0] for written in (1.0, 100.0, 10_000.0)]
print(all(0 < busy <= 0.5 for busy in found), found == sorted(found))
""")
    assert line == "True True"


def test_who_hears_of_less_reaches_further() -> None:
    (line,) = shown("""
plain = limit(Fleet())[0]
print(0 < plain, limit(Fleet(namespaces=20))[0] > plain, limit(Fleet(writes=0.1))[0] > plain)
""")
    assert line == "True True True"


def test_a_host_hears_of_its_own_namespace_alone() -> None:
    line, pushed = shown("""
whole, parted = outcome(fleet), outcome(replace(fleet, namespaces=4))
asking = fleet.primaries * CHECK
# Fewer names come with each message.
print(2 < (whole.handling - asking) / (parted.handling - asking) <= 4)
print(parted.by_pushes < whole.by_pushes / 2)
""")
    assert (line, pushed) == ("True", "True")


def test_the_limit_is_named_with_its_remedy() -> None:
    lines = shown("""
hosts, names = limit(Fleet(writes=0.3))
print(hosts, outcome(Fleet(hosts=hosts - 1, writes=0.3)).limits, names)
print(told_limit(Fleet(writes=0.3)))
print(told_limit(Fleet(reads=0.001, writes=0.0, capacity=0)))
""")
    hosts = lines[0].split()[0]
    assert lines[0] == f"{hosts} [] ['pushes']"
    assert lines[1].startswith(f"From {int(hosts):,} hosts on beyond the limit: pushes (more")
    assert lines[2].startswith("From 10,001 hosts on beyond the limit: clients")


def test_the_documented_limits_are_those_of_the_model() -> None:
    limits = shown("""
for name, options in WAYS.items():
    print(f"| {name} | {limit(Fleet(**options))[0]:,} hosts |")
""")
    text = DOCUMENT.read_text(encoding="utf-8")
    assert len(limits) == 4
    assert not [row for row in limits if row not in text]


def test_the_program_prints_a_table_for_each_way() -> None:
    told = subprocess.run(
        [sys.executable, "sim_fleet.py", "--keys", "2000", "--writes", "0.1"],
        cwd=BENCHMARKS,
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    lines = told.stdout.splitlines()
    rows = [line for line in lines if line.startswith("| ") and line[2].isdigit()]
    assert len(rows) == 4 * 7
    assert all(len(row.split(" | ")) == 11 for row in rows)
    assert sum("limit" in line and not line.startswith("|") for line in lines) == 4
