"""A process that writes registers on Redis servers, without a near cache, until it is told to end.

    python near_writer.py URL BOARD REGISTERS

It says ``ready`` when each has been written once, and ends when its input does.
"""

from __future__ import annotations

import select
import sys
import time

from near_board import NearBoard, stored
from redis_load import key_of
from symphra_cache import BackendUnavailableError, CacheManager
from symphra_cache.backends import RedisBackend

PAUSE = 0.002  # after each write: about four hundred a second


def write(cache: CacheManager, board: NearBoard, register: int, number: int) -> bool:
    """Write a number; tell whether that was acknowledged."""
    try:
        assert cache.set(key_of(register), stored(register, number))
    except BackendUnavailableError:
        time.sleep(0.002)
        return False
    board.outdate(register, number, time.monotonic())
    return True


def main() -> None:
    url, path, registers = sys.argv[1:]
    board = NearBoard(path, int(registers))
    due = {register: board.begin(register) for register in board.registers}
    is_said = False
    with CacheManager(RedisBackend(url)) as cache:
        while not select.select([sys.stdin], [], [], 0)[0]:
            for register, number in due.items():
                if write(cache, board, register, number):
                    due[register] = board.begin(register)
                time.sleep(PAUSE)
            if not is_said and board.is_written():
                is_said = True
                print("ready", flush=True)


if __name__ == "__main__":
    main()
