# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""Namespaces: whose keys are whose."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from symphra_cache import CacheError, CacheManager, ConfigurationError

from ..acompat import acollect

if TYPE_CHECKING:
    from ..backends import Kit

LEGAL_NAMES = ("a", "A", "0", "_", ".", "-", "..", "a.b-c_D9", "n" * 64)
WRONG_NAMES = (
    "",
    "n" * 65,
    "a b",
    "a:b",
    "a/b",
    "a!b",
    "a*",
    "a\n",
    "\n",
    "é",
    "键",
    "\u0660",
    "\ud800",
    b"a",
    1,
    None,
    ["a"],
    ("a",),
)


async def test_a_namespace_is_1_to_64_of_these_characters(kit: Kit) -> None:
    caches = [kit.open(namespace=name) for name in LEGAL_NAMES]
    caches += [kit.open().namespace(name) for name in LEGAL_NAMES]
    for number, cache in enumerate(caches):
        await cache.aset("k", number)
    for number, cache in enumerate(caches):
        assert await acollect(cache.ascan()) == ["k"]
        assert await cache.aget("k") == number


def test_a_wrong_namespace_is_refused(kit: Kit) -> None:
    cache = kit.open()
    for name in WRONG_NAMES:
        with pytest.raises(ConfigurationError):
            kit.open(namespace=name)
        with pytest.raises(ConfigurationError):
            cache.namespace(name)  # type: ignore[arg-type]


def test_a_wrong_namespace_is_a_cache_error_and_a_value_error(kit: Kit) -> None:
    with pytest.raises(ConfigurationError, match="namespace") as caught:
        kit.open(namespace=b"secret")
    assert isinstance(caught.value, CacheError)
    assert isinstance(caught.value, ValueError)
    assert "bytes" in str(caught.value)
    assert "secret" not in str(caught.value)
    with pytest.raises(ConfigurationError, match="length 1000") as caught:
        kit.open(namespace="secret" + 994 * "x")
    assert "secret" not in str(caught.value)


async def test_the_default_namespace_is_symphra(kit: Kit) -> None:
    await kit.open().aset("k", 1)
    assert await kit.open(namespace="symphra").aget("k") == 1


async def test_managers_of_one_namespace_share_their_entries(kit: Kit) -> None:
    first, second = kit.open(namespace="users"), kit.open(namespace="users")
    await first.aset("k", 1)
    assert await second.aget("k") == 1
    assert await second.aincr("k") == 2
    assert await first.aget("k") == 2
    assert await second.aclear() == 1
    assert not await first.aexists("k")


async def test_managers_of_two_namespaces_share_nothing(kit: Kit) -> None:
    first, second = kit.open(namespace="users"), kit.open(namespace="orders")
    await first.aset("k", 1)
    assert await second.aget("k") is None
    assert not await second.aexists("k")
    assert await second.attl("k") == 0.0
    assert not await second.atouch("k", 5)
    assert await second.apop("k") is None
    assert not await second.adelete("k")
    assert await second.aget_many(["k"]) == {}
    assert await second.adelete_many(["k"]) == 0
    assert await second.adelete_matching("*") == 0
    assert await acollect(second.ascan()) == []
    assert await second.acount() == await second.aclear() == 0
    assert await second.aadd("k", 2)
    assert await second.aincr("n") == 1
    assert await first.aget("k") == 1
    assert await first.aincr("n", 5) == 5


async def test_a_view_is_on_the_same_backend(kit: Kit) -> None:
    cache = kit.open()
    view = cache.namespace("users")
    assert isinstance(view, CacheManager)
    assert view.backend is cache.backend
    await view.aset("k", 1)
    assert await cache.aget("k") is None
    assert await cache.namespace("users").aget("k") == 1


async def test_views_are_nestable(kit: Kit) -> None:
    cache = kit.open(namespace="a")
    views = [cache]
    for name in ("b", "c", "d"):
        views.append(views[-1].namespace(name))
    for depth, view in enumerate(views):
        await view.aset("k", depth)
    for depth, view in enumerate(views):
        assert await view.aget("k") == depth
        assert await view.acount() == 1
    assert await kit.open(namespace="a").namespace("b").namespace("c").aget("k") == 2


async def test_the_order_of_a_path_matters(kit: Kit) -> None:
    ab = kit.open(namespace="a").namespace("b")
    ba = kit.open(namespace="b").namespace("a")
    await ab.aset("k", "ab")
    assert await ba.aget("k") is None


async def test_no_two_pairs_of_namespace_and_key_collide(kit: Kit) -> None:
    roots = [kit.open(namespace=name) for name in ("a", "b", "a.b", "symphra")]
    views = [*roots]
    for root in roots:
        views += [root.namespace("a"), root.namespace("b"), root.namespace("a").namespace("b")]
    keys = ("k", ":k", "a:k", "b:k", "a/b:k", "/b:k", "/b:a:k", "b/", "/", ":", "::", "a", "k:")
    for number, view in enumerate(views):
        await view.aset_many({key: (number, key) for key in keys})
    for number, view in enumerate(views):
        assert await view.aget_many(keys) == {key: (number, key) for key in keys}
        assert sorted(await acollect(view.ascan())) == sorted(keys)
        assert await view.acount() == len(keys)


async def test_neighbours_keep_what_one_namespace_clears(kit: Kit) -> None:
    names = ("user", "users", "users2", "users-", "users.", "users.x", "users0", "users_", "Users")
    caches = {name: kit.open(namespace=name) for name in names}
    for cache in caches.values():
        await cache.aset_many({"k": 1, "2:k": 2})
    assert await caches["users"].aclear(nested=True) == 2
    for name, cache in caches.items():
        assert await cache.acount() == (0 if name == "users" else 2)


async def test_a_view_shares_the_defaults_of_its_manager(kit: Kit) -> None:
    view = kit.open(default_ttl=60).namespace("users").namespace("vip")
    await view.aset("k", 1)
    left = await view.attl("k")
    assert left is not None
    assert 59 < left <= 60


async def test_a_view_shares_the_jitter_of_its_manager(kit: Kit) -> None:
    view = kit.open(default_ttl=1_000, jitter=0.5).namespace("users")
    await view.aset_many({f"k{number}": 1 for number in range(50)})
    ttls = [await view.attl(f"k{number}") or 0 for number in range(50)]
    assert max(ttls) - min(ttls) > 100


async def test_a_view_counts_into_its_manager(kit: Kit) -> None:
    cache = kit.open()
    view = cache.namespace("users").namespace("vip")
    await view.aset("k", 1)
    await view.aget("k")
    await view.aget("absent")
    stats = cache.stats()
    assert (stats.sets, stats.hits, stats.misses) == (1, 1, 1)
    assert view.stats()[:6] == stats[:6]


async def test_scan_gives_keys_as_they_were_given(kit: Kit) -> None:
    views = [kit.open(namespace="a")]
    views += [views[0].namespace("b")]
    for view in views:
        await view.aset("b:k", 1)
        assert await acollect(view.ascan()) == ["b:k"]
        assert await acollect(view.ascan("b:*")) == ["b:k"]
    for outer, inner in pairwise(views):
        assert await outer.acount() == await inner.acount() == 1
