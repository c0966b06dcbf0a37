"""Keys of calls are the same in every process, on every version of Python that is at hand."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import symphra_cache

PROGRAM = """
import datetime, decimal, enum, pathlib, zoneinfo
from symphra_cache._call_keys import call_key

class Colour(enum.Enum):
    RED = 1

class Bits(enum.IntFlag):
    ONE = 1
    TWO = 2

class Shelf:
    def __cache_key__(self):
        return {"words": {"b", "a", "c"}}

    def book(self, at, *rest, **options): ...

def f(x): ...

words = [f"w{n}" for n in range(20)]
zone = zoneinfo.ZoneInfo("Asia/Tokyo")
arguments = [
    set(words), frozenset(words), dict.fromkeys(words), {frozenset(words): {Colour.RED, None, "x"}},
    "\\u0378\\u1c89\\U0001fae9\\xad\\u200b\\ud800", "".join(map(chr, range(0x250))), 1e22, 5e-324,
    ~Bits.ONE, Bits.ONE | 64, decimal.Decimal("1e-9"), pathlib.Path("/a/./b//c"), zone,
    datetime.datetime(2024, 1, 1, tzinfo=zone), Colour, Shelf(), [Shelf()] * 9, 10**5000,
]
key, of_method = call_key(f), call_key(Shelf.book)
for argument in arguments:
    print(ascii(key(argument)))
print(ascii(of_method(Shelf(), 1, 2, **dict.fromkeys(words))))
print(ascii(call_key(f, "at:{x}")(decimal.Decimal("1e-9"))))
"""


def interpreters() -> list[str]:
    """Return the versions of Python that are at hand, this one first."""
    found = [sys.executable]
    for minor in (11, 12, 13):
        path = shutil.which(f"python3.{minor}")
        # A name may stand for a version that is not there.
        if path and not subprocess.run([path, "-V"], capture_output=True, check=False).returncode:
            found.append(path)
    return found


def test_keys_are_the_same_in_every_process_on_every_version() -> None:
    told = set()
    for seed, interpreter in enumerate([*interpreters(), sys.executable]):
        environment = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}
        environment["PYTHONPATH"] = str(Path(symphra_cache.__file__).parents[1])
        environment["PYTHONHASHSEED"] = str(seed)
        finished = subprocess.run(
            [interpreter, "-S", "-c", PROGRAM],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert not finished.returncode, finished.stderr
        told.add(finished.stdout)
    assert len(told) == 1
    assert len({*told.pop().splitlines()}) == 20
