"""Times the libraries that could write cached values, for the table in docs/en/design.md.

    python -m pip install ormsgpack msgpack
    python benchmarks/serializer_libraries.py

Prints microseconds, the best of several rounds in which the libraries take turns, so that a
slow moment of the machine hits all of them. A peer that isn't installed is said to be missing.
"""

from __future__ import annotations

import pickle
from importlib import import_module
from timeit import Timer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Pair = tuple[Callable[[object], bytes], Callable[[bytes], object]]

ROUNDS = 9
CALLS = 20_000
VALUES: dict[str, object] = {
    "dict of 3 fields": {"name": "张三", "age": 30, "mail": "a@example.org"},
    "str": "a text of thirty characters...",
    "int": 123_456,
    "list of 20 dicts": [{"id": n, "title": f"row {n}", "score": n / 7} for n in range(20)],
}


def libraries() -> dict[str, Pair]:
    """Return how each library writes and reads; say which are missing."""
    found: dict[str, Pair] = {"pickle": (lambda value: pickle.dumps(value, 5), pickle.loads)}
    try:
        ormsgpack = import_module("ormsgpack")
        found["ormsgpack"] = (ormsgpack.packb, ormsgpack.unpackb)
    except ImportError:
        print("ormsgpack is not installed")
    try:
        msgpack = import_module("msgpack")
        pack = msgpack.Packer(strict_types=True).pack
        found["msgpack"] = (pack, lambda data: msgpack.unpackb(data, strict_map_key=False))
    except ImportError:
        print("msgpack is not installed")
    return found


def measured(value: object, peers: dict[str, Pair]) -> dict[str, tuple[float, float]]:
    """Return the best microseconds of (write, read) for each library."""
    best = dict.fromkeys(peers, (float("inf"), float("inf")))
    for _ in range(ROUNDS):
        for name, (write, read) in peers.items():
            data = write(value)
            took = (
                Timer(lambda write=write: write(value)).timeit(CALLS) / CALLS * 1e6,
                Timer(lambda read=read, data=data: read(data)).timeit(CALLS) / CALLS * 1e6,
            )
            best[name] = (min(best[name][0], took[0]), min(best[name][1], took[1]))
    return best


def main() -> None:
    """Print a table for each value."""
    peers = libraries()
    for label, value in VALUES.items():
        print(f"\n{label}\n  {'':<10}{'write':>8}{'read':>8}")
        for name, (write, read) in measured(value, peers).items():
            print(f"  {name:<10}{write:>8.2f}{read:>8.2f}")


if __name__ == "__main__":
    main()
