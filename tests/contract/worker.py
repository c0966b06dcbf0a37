"""A process of `test_processes.py`: does on one cache what it is told, line by line."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from symphra_cache import CacheManager


async def arun(cache: CacheManager, call: str, arguments: list[list[Any]]) -> list[Any]:
    """Call on the asyncio face, from a task each."""
    method = getattr(cache, f"a{call}")
    return await asyncio.gather(*(method(*each) for each in arguments))


def run(cache: CacheManager, call: str, arguments: list[list[Any]]) -> list[Any]:
    """Call on the blocking face, one after the other."""
    method = getattr(cache, call)
    return [method(*each) for each in arguments]


def main(face: str) -> None:
    """Read ``[url, call, [arguments, …]]``, write the answers; until the input ends."""
    caches: dict[str, CacheManager] = {}
    with asyncio.Runner() as runner:
        for line in sys.stdin:
            url, call, arguments = json.loads(line)
            if url not in caches:
                caches[url] = CacheManager.from_url(url)
            if face == "asyncio":
                answers = runner.run(arun(caches[url], call, arguments))
            else:
                answers = run(caches[url], call, arguments)
            print(json.dumps(answers), flush=True)
        for cache in caches.values():
            cache.close()


if __name__ == "__main__":
    main(sys.argv[1])
