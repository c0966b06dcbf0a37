"""A process that reads registers through a near cache, as `NearLoad` does, until told to end.

    python near_reader.py URL BOARD REGISTERS

It says ``ready`` when its link is up, and ends when its input does; then it says how many reads
it has made, and by how many seconds the latest of them was late.
"""

from __future__ import annotations

import sys

from near_board import NearBoard
from near_links import wait_linked
from near_load import NearLoad
from symphra_cache import CacheManager
from symphra_cache.backends import NearCache, RedisBackend


def main() -> None:
    url, path, registers = sys.argv[1:]
    backend = RedisBackend(url, near_cache=NearCache())
    with CacheManager(backend) as cache:
        wait_linked(backend)
        with NearLoad(cache, NearBoard(path, int(registers))) as load:
            print("ready", flush=True)
            sys.stdin.read()
            load.check()
    print(load.reads, max(seen.worst for seen in load.seen.values()))


if __name__ == "__main__":
    main()
