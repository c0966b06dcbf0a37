"""The harness does what it says: compiled loops, rounds, contestants that fail; untimed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
PRELUDE = """
from harness.loops import Calls
from harness.model import Contestant, Mode, Work
from harness.rounds import measure
from harness.runners import Loop, Once, Reopened, Tasks, Threads, chunked

table = {}
done = []
calls = Calls({"get": table.get, "table": table}, set="table[key] = value")
"""


def shown(program: str) -> list[str]:
    """Run a program beside the harness, whose packages are not installed."""
    told = subprocess.run(
        [sys.executable, "-c", PRELUDE + program],
        cwd=BENCHMARKS,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    return told.stdout.splitlines()


def test_the_mixed_loop_fills_on_a_miss_and_counts_misses_of_gets_only() -> None:
    lines = shown("""
stream = [("a", 0), ("a", 0), ("b", 1), ("b", 0), ("c", 0)]
print(calls.replayed()(stream, 7), table)
""")
    assert lines == ["2 {'a': 7, 'b': 7, 'c': 7}"]


def test_awaited_loops_do_the_same() -> None:
    lines = shown("""
async def get(key):
    return table.get(key)

async def put(key, value):
    table[key] = value

names = {"get": get, "put": put}
calls = Calls(names, "await get(key)", "await put(key, value)", is_async=True)
loop = Loop(calls, calls.each_get(), [["a", "b"]], pairs=[("a", 1), ("b", 2)], held=["a", "b"])
print(loop.run(3) > 0, loop.call(calls.replayed(), [("c", 0), ("c", 0)], 3), table)
loop.close()
""")
    assert lines == ["True 1 {'a': 1, 'b': 2, 'c': 3}"]


def test_a_slot_goes_on_where_the_last_one_ended() -> None:
    lines = shown("""
calls = Calls({"get": done.append})
loop = Loop(calls, calls.each_get(), chunked(["a", "b", "c", "d", "e"], 2))
loop.run(1), loop.run(2)
print(*done, loop.operations)
""")
    assert lines == ["a b c d a b 2"]


def test_threads_share_the_passes_out_and_begin_apart() -> None:
    lines = shown("""
calls = Calls({"get": done.append})
loop = Threads(2, calls, calls.each_get(), chunked(["a", "b", "c", "d"], 2))
loop.run(2)
print(*sorted(done))
""")
    assert lines == ["a b c d"]


def test_tasks_take_turns_on_one_loop_and_what_is_awaited_is_closed_there() -> None:
    lines = shown("""
import asyncio

async def get(key):
    done.append(key)
    await asyncio.sleep(0)

async def close():
    print("closed")

calls = Calls({"get": get}, "await get(key)", is_async=True, close=close)
loop = Tasks(2, calls, calls.each_get(), chunked(["a", "b", "c", "d"], 2))
print(loop.run(2) > 0, *done)
loop.close()
""")
    assert lines == ["True a c b d", "closed"]


def test_many_at_once_count_each_and_pairs_bring_their_values() -> None:
    lines = shown("""
names = {"many": done.append, "table": table}
calls = Calls(names, set="table[key] = value", get_many="many(keys)", set_many="many(mapping)")
Loop(calls, calls.each_set_many(), [[{"a": 1}]]).run(1)
Loop(calls, calls.each_pair(), [[("b", 1)], [("b", 2)]]).run(2)
print(Loop(calls, calls.each_get_many(), [[["a", "b"]]], each=2).operations, done, table)
""")
    assert lines == ["2 [{'a': 1}] {'b': 2}"]


def test_who_is_reopened_for_each_pass_reads_other_keys_each_time_and_is_closed() -> None:
    lines = shown("""
def get(key):
    done.append(key)
    return key

def opened():
    done.append("open")
    return Calls({"get": get}, close=lambda: done.append("closed"))

Reopened(opened, Calls.each_get, chunked(["a", "b", "c", "d"], 2), "first").run(2)
print(*done)
""")
    assert lines == ["open first a b closed open first c d closed"]


def test_lost_keys_are_not_measured() -> None:
    lines = shown("""
def prepare():
    return Loop(calls, calls.each_get(), [["a"]], held=["a"])

measured = measure("f", Work("w", "w", (Contestant("loser", prepare),)), Mode("tiny", 2, 1000))
print(measured.absent, measured.rounds)
""")
    assert lines[0] == "{'loser': 'RuntimeError: 1 of 1 keys are not in the cache'} {}"


def test_everybody_has_one_slot_in_each_round_and_a_failure_is_told_without_paths() -> None:
    lines = shown("""
def figure(name):
    def one():
        done.append(name)
        if name == "c" and len(done) > 6:
            raise OSError("no such file: '/home/someone/x.db'")
        return 2.0
    return one

people = tuple(Contestant(name, lambda name=name: Once(figure(name))) for name in "abc")
work = Work("w", "w", people, calibrated=False)
measured = measure("f", work, Mode("tiny", 4, 1000))
print(*done)
print(measured.rounds)
print(measured.absent)
""")
    # Turned round in every second round; c fails in the third.
    assert lines == [
        "a b c a c b c a b b a",
        "{'a': [2.0, 2.0, 2.0, 2.0], 'b': [2.0, 2.0, 2.0, 2.0]}",
        "{'c': 'OSError: no such file: a path'}",
    ]


def test_a_goal_is_stored_with_what_says_something_and_a_bound_of_nothing_does() -> None:
    lines = shown("""
from harness.model import Goal
from harness.results import assembled

work = Work("w", "w", (), (Goal("R", "ours", 0.0), Goal("R", "ours", None, "peer")))
stored = assembled("f", Mode("tiny", 1, 1), {}, [measure("f", work, Mode("tiny", 1, 1))])
print(*stored["works"][0]["goals"], sep="\\n")
""")
    assert lines == [
        "{'row': 'R', 'subject': 'ours', 'limit': 0.0, 'kind': 'at most'}",
        "{'row': 'R', 'subject': 'ours', 'peer': 'peer', 'kind': 'at most'}",
    ]
