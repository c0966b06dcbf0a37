"""What no cache can be faster than: a bare dict, with no bound, no expiry and no counters."""

from __future__ import annotations

from harness.loops import Calls


def bare_dict(capacity: int, ttl: int | None) -> Calls:
    """A dict and its `get`."""
    table: dict[str, object] = {}
    return Calls({"get": table.get, "table": table}, set="table[key] = value")


def awaited_dict(capacity: int, ttl: int | None) -> Calls:
    """A dict behind coroutines."""
    table: dict[str, object] = {}

    async def get(key: str) -> object:
        return table.get(key)

    async def put(key: str, value: object) -> None:
        table[key] = value

    return Calls({"get": get, "set": put}, "await get(key)", "await set(key, value)", is_async=True)
