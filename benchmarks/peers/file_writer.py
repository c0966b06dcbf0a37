"""A process that writes into a cache file of ours whenever it is told to: see `families.file`.

``python -m peers.file_writer PATH`` reads its keys, a line of JSON, and waits; each further line
starts it or stops it. It answers with how often it has written since the start: with 1 when it has
begun, and again when it has stopped. It ends with its input, so with the process that started it.
"""

from __future__ import annotations

import json
import sys
import threading
from itertools import count, cycle
from pathlib import Path
from typing import TYPE_CHECKING

from symphra_cache import CacheManager
from symphra_cache.backends import FileBackend

if TYPE_CHECKING:
    from collections.abc import Iterator


class Switch:
    """Tells the writing thread whether to write; set by the one that reads the input."""

    def __init__(self) -> None:
        self.turns = threading.Semaphore(0)
        self.on = False
        self.ended = False

    def follow(self) -> None:
        """Change with each line until there are no more."""
        for _ in sys.stdin:
            self.on = not self.on
            if self.on:
                self.turns.release()
        self.on, self.ended = False, True
        self.turns.release()


def write(path: Path, keys: Iterator[str]) -> None:
    """Write while the switch is on."""
    switch = Switch()
    values = count(1_000_000)
    threading.Thread(target=switch.follow, daemon=True).start()
    with CacheManager(FileBackend(path)) as cache:
        while switch.turns.acquire() and not switch.ended:
            # A value each time: SQLite writes nothing where nothing changes.
            begun = last = next(values)
            cache.set(next(keys), begun)
            print(1, flush=True)
            while switch.on:
                cache.set(next(keys), last := next(values))
            print(last - begun + 1, flush=True)


if __name__ == "__main__":
    write(Path(sys.argv[1]), cycle(json.loads(sys.stdin.readline())))
