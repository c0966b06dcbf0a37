"""A process that writes or reads registers in a cache file, until it is told to end.

    python register_user.py PATH BOARD REGISTERS SIZE MAX_SIZE ROLE FIRST LAST

Roles are ``set``, ``aset``, ``set_many``, ``get`` and ``aget``: the asyncio ones run ten tasks. It
writes the registers from FIRST up to LAST, excluded, whose only writer it is, or reads them. It
says ``ready`` when it has the file open, and ends when its input does; then it says how many calls
it has made, and how long the longest write took, in seconds. MAX_SIZE 0 is a file without bounds.
"""

from __future__ import annotations

import asyncio
import os
import select
import sys
import time
from itertools import cycle

from registers import Board, number_in, value_of
from symphra_cache import CacheManager
from symphra_cache.backends import FileBackend

TASKS = 10
GO_ON_FOR = 20  # calls, before it looks whether it is to end


class User:
    """Writes and reads its registers, and keeps the board."""

    def __init__(self, path: str, max_size: int, board: Board, size: int, registers: range) -> None:
        self.cache = CacheManager(FileBackend(path, max_size=max_size or None))
        self.board, self.size, self.registers = board, size, registers
        self.calls, self.longest = 0, 0.0

    def acknowledge(self, register: int, number: int, started: float) -> None:
        self.board.acknowledge(register, number)
        self.longest = max(self.longest, time.perf_counter() - started)

    def set(self) -> None:
        for register in self.registers:
            number, started = self.board.begin(register), time.perf_counter()
            assert self.cache.set(f"r{register}", value_of(register, number, self.size))
            self.acknowledge(register, number, started)
            self.calls += 1

    def set_many(self) -> None:
        number, own = self.board.begin_all(self.registers), self.registers
        started = time.perf_counter()
        values = {f"r{register}": value_of(register, number, self.size) for register in own}
        assert self.cache.set_many(values) == []
        for register in own:
            self.acknowledge(register, number, started)
        self.calls += 1

    def get(self) -> None:
        for register in self.registers:
            floor = self.board.floor(register)
            value = self.cache.get(f"r{register}")
            self.board.check(register, floor, number_in(register, value, self.size))
            self.calls += 1

    async def aset(self, register: int) -> None:
        number, started = self.board.begin(register), time.perf_counter()
        assert await self.cache.aset(f"r{register}", value_of(register, number, self.size))
        self.acknowledge(register, number, started)
        self.calls += 1

    async def aget(self, register: int) -> None:
        floor = self.board.floor(register)
        value = await self.cache.aget(f"r{register}")
        self.board.check(register, floor, number_in(register, value, self.size))
        self.calls += 1

    def until_told(self, role: str) -> None:
        """Go on until the input ends."""
        if role.startswith("a"):
            asyncio.run(self._tasks(role))
            return
        while not is_over():
            for _ in range(GO_ON_FOR // len(self.registers) + 1):
                getattr(self, role)()

    async def _tasks(self, role: str) -> None:
        own = [self.registers[number::TASKS] for number in range(TASKS)]
        tasks = [asyncio.ensure_future(self._task(role, each)) for each in own if each]
        while not is_over():
            await asyncio.sleep(0.01)
            for task in tasks:
                if task.done():
                    task.result()  # raises what it failed with
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    async def _task(self, role: str, registers: range) -> None:
        for place, register in enumerate(cycle(registers)):
            await getattr(self, role)(register)
            if place % GO_ON_FOR == 0:  # a read of the hot tier lets no other task run
                await asyncio.sleep(0)


def is_over() -> bool:
    """Tell whether the input has ended."""
    return bool(select.select([sys.stdin], [], [], 0)[0])


def main() -> None:
    path, board, registers, size, max_size, role, first, last = sys.argv[1:]
    own = range(int(first), int(last))
    user = User(path, int(max_size), Board(board, int(registers)), int(size), own)
    user.cache.get("open")
    print("ready", flush=True)
    os.read(0, 1)  # until all are
    user.until_told(role)
    user.cache.close()
    print(user.calls, user.longest)


if __name__ == "__main__":
    main()
