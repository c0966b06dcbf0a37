# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""``clear``: this namespace, its children if asked, and never anybody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ..acompat import acollect

if TYPE_CHECKING:
    from symphra_cache import CacheManager

    from ..backends import Kit

VALUES = {"k": 1, ":k": 2, "/k": 3, "a:k": 4, "users/a:k": 5}


def family(kit: Kit) -> dict[str, CacheManager]:
    """Return namespaces around ``users``, by their paths."""
    caches = {
        name: kit.open(namespace=name)
        for name in ("user", "users", "users2", "users-a", "users.a", "users0", "a", "symphra")
    }
    caches["users/a"] = caches["users"].namespace("a")
    caches["users/a/b"] = caches["users/a"].namespace("b")
    caches["users/z"] = caches["users"].namespace("z")
    caches["users/users"] = caches["users"].namespace("users")
    caches["users2/a"] = caches["users2"].namespace("a")
    caches["a/users"] = caches["a"].namespace("users")
    return caches


async def acounts(caches: dict[str, CacheManager]) -> dict[str, int]:
    return {path: await cache.acount() for path, cache in caches.items()}


async def test_clear_removes_all_and_tells_how_many(cache: CacheManager) -> None:
    assert await cache.aclear() == 0
    await cache.aset_many({f"k{number}": number for number in range(1_200)})
    assert await cache.aclear() == 1_200
    assert await cache.acount() == 0
    assert await acollect(cache.ascan()) == []
    assert await cache.aget("k0") is None
    assert await cache.aclear() == 0


async def test_a_cleared_cache_goes_on(cache: CacheManager) -> None:
    for number in range(3):
        assert await cache.aadd("k", number)
        assert await cache.aget("k") == number
        assert await cache.aclear() == 1


@pytest.mark.parametrize("path", ["users", "users/a", "users/a/b", "a", "users2", "user"])
async def test_clear_leaves_neighbours_and_children_alone(kit: Kit, path: str) -> None:
    caches = family(kit)
    for cache in caches.values():
        await cache.aset_many(VALUES)
    assert await caches[path].aclear() == len(VALUES)
    assert await acounts(caches) == {other: 0 if other == path else len(VALUES) for other in caches}


@pytest.mark.parametrize("path", ["users", "users/a", "users/a/b", "a", "users2", "user"])
async def test_a_nested_clear_takes_children_along_and_nobody_else(kit: Kit, path: str) -> None:
    caches = family(kit)
    for cache in caches.values():
        await cache.aset_many(VALUES)
    below = {other for other in caches if other == path or other.startswith(f"{path}/")}
    assert await caches[path].aclear(nested=True) == len(VALUES) * len(below)
    assert await acounts(caches) == {
        other: 0 if other in below else len(VALUES) for other in caches
    }


async def test_a_nested_clear_takes_children_that_no_view_is_left_of(kit: Kit) -> None:
    cache = kit.open()
    for number in range(5):
        await cache.namespace("users").namespace(f"n{number}").aset("k", 1)
    assert await cache.aclear() == 0
    assert await cache.namespace("users").aclear() == 0
    assert await cache.aclear(nested=True) == 5
    assert await cache.namespace("users").namespace("n0").acount() == 0


async def test_a_nested_clear_of_a_child_leaves_its_parent_alone(kit: Kit) -> None:
    cache = kit.open()
    child = cache.namespace("users")
    await cache.aset_many({"k": 1, "users:k": 2, "users/k": 3})
    await child.aset("k", 4)
    assert await child.aclear(nested=True) == 1
    assert await cache.acount() == 3


async def test_nested_must_be_asked_for_by_name(cache: CacheManager) -> None:
    with pytest.raises(TypeError):
        await cache.aclear(True)  # type: ignore[misc]


async def test_scan_and_count_do_not_take_children_along(kit: Kit) -> None:
    cache = kit.open()
    await cache.namespace("users").aset("k", 1)
    assert await acollect(cache.ascan()) == []
    assert await cache.acount() == 0
    assert await cache.adelete_matching("*") == 0


async def test_one_manager_clears_what_another_wrote(kit: Kit) -> None:
    first, second = kit.open(namespace="users"), kit.open(namespace="users")
    await first.aset_many(VALUES)
    assert await second.aclear() == len(VALUES)
    assert await first.acount() == 0
