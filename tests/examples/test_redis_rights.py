"""The rights that the page on Redis gives a user are enough, and none is too many."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from redis.crc import key_slot

from redis_cluster import shared_cluster
from redis_page import APP, WATCHER, quoted, rows, rule
from redis_sentinel import shared_sentinels
from redis_servers import (
    HOST,
    patient,
    shared_server,
)
from symphra_cache import BackendUnavailableError, CacheManager
from symphra_cache.backends import RedisBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from faces import Caller


def besides(case: str) -> list[str]:
    """Return the rights that the page adds in one case."""
    (rights,) = [row[1] for row in rows("and besides, for") if row[0] == case]
    return quoted(rights)[0].split()


def every_operation(call: Caller, cache: CacheManager, plant: Callable[[], Any]) -> Iterator[Any]:
    """Yield calls that together send every command of ours."""
    yield lambda: call(cache, "set", "k", ["v"], 60)
    yield lambda: call(cache, "set", "gone", 1, 0)
    yield lambda: call(cache, "get", "k")
    plant()
    yield lambda: call(cache, "add", "planted", 1)
    for ttl in (60, None):
        yield lambda ttl=ttl: call(cache, "touch", "k", ttl)
    for name in ("exists", "ttl", "delete", "pop"):
        yield lambda name=name: call(cache, name, "k")
    yield lambda: call(cache, "incr", "n", ttl=60)
    yield lambda: call(cache, "set_many", {"a": 1, "b": 2})
    yield lambda: call(cache, "get_many", ["a", "b"])
    yield lambda: call(cache, "delete_many", ["a", "b"])
    yield lambda: call.scan(cache)
    yield lambda: call(cache, "count")
    yield lambda: call(cache, "delete_matching", "*")
    yield lambda: call(cache.namespace("child"), "set", "k", 1)
    yield lambda: call(cache, "clear", nested=True)


def refusals(
    call: Caller, backend: Callable[[], RedisBackend], plant: Callable[[], Any]
) -> list[str]:
    """Return what the server said to operations for which a right was missing."""
    said = []
    with CacheManager(backend()) as cache:
        for operation in every_operation(call, cache, plant):
            try:
                operation()
            except BackendUnavailableError as error:
                said.append(str(error))
        health = call(cache, "ping")
    return said if health.ok else [*said, str(health.detail)]


def check_rights(
    call: Caller,
    backend: Callable[[], RedisBackend],
    rights: list[str],
    plant: Callable[[], Any],
    allow: Callable[[list[str]], Any],
) -> None:
    """Check that these rights are enough, and that each is needed but that to ``INFO``."""
    allow(rights)
    assert refusals(call, backend, plant) == []
    for right in [right for right in rights if right[0] == "+"]:
        allow([other for other in rights if other != right])
        said = refusals(call, backend, plant)
        assert bool(said) == (right != "+info"), right
        # A node that is not asked to make an exception only says who has the slot.
        wanted = rf"{HOST}:\d" if right == "+asking" else "permission|can't run this command"
        assert all(re.search(wanted, line) for line in said), said
    allow(rights)


def test_the_rights_are_enough_and_none_is_too_many(call: Caller) -> None:
    server = shared_server().fresh()

    def plant() -> None:
        server.command("SCRIPT", "FLUSH")
        server.command("SET", "symphra:planted", "garbage")

    def allow(rights: list[str]) -> None:
        server.command("ACL", "SETUSER", APP, "reset", *rights)

    url = patient(f"redis://{APP}:secret@{HOST}:{server.port}")
    try:
        check_rights(call, lambda: RedisBackend(url), rule(APP), plant, allow)
        with (
            CacheManager(RedisBackend(url), namespace="other") as cache,
            pytest.raises(BackendUnavailableError, match=r"(?i)no permissions"),
        ):
            call(cache, "get", "k")
    finally:
        server.command("ACL", "DELUSER", APP)


@pytest.mark.parametrize(
    ("case", "option"),
    [("a database other than 0", {"db": 1}), ("`client_name`", {"client_name": "ours"})],
)
def test_rights_that_an_option_needs_to_connect(
    call: Caller, case: str, option: dict[str, Any]
) -> None:
    server = shared_server().fresh()
    url = patient(f"redis://{APP}:secret@{HOST}:{server.port}")
    server.command("ACL", "SETUSER", APP, *rule(APP))
    try:
        for is_allowed in (False, True):
            with CacheManager(RedisBackend(url, **option)) as cache:
                assert call(cache, "ping").ok == is_allowed
            server.command("ACL", "SETUSER", APP, *besides(case))
    finally:
        server.command("ACL", "DELUSER", APP)


def test_the_rights_for_a_cluster_are_enough_and_none_is_too_many(call: Caller) -> None:
    cluster = shared_cluster().fresh()
    slot = key_slot(b"symphra:k")
    source = cluster.primary_of("symphra:k")
    target = next(node for node in cluster.primaries if node is not source)

    def plant() -> None:
        for node in cluster.primaries:
            node.command("SCRIPT", "FLUSH")
        cluster.command("SET", "symphra:planted", "garbage")

    def allow(rights: list[str]) -> None:
        for node in cluster.nodes:
            node.command("ACL", "SETUSER", APP, "reset", *rights)

    mine = [right for right in rule(APP) if right != "+mget"] + besides("a cluster")
    # On its way, so that what is told of a key there is told by way of the exception.
    target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
    source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id)
    try:
        check_rights(
            call,
            lambda: RedisBackend(cluster.chosen_url, username=APP, password="secret"),
            mine,
            plant,
            allow,
        )
    finally:
        for node in (source, target):
            node.command("CLUSTER", "SETSLOT", slot, "STABLE")
        for node in cluster.nodes:
            node.command("ACL", "DELUSER", APP)


def test_the_one_right_that_sentinels_want(call: Caller) -> None:
    sentinels = shared_sentinels().fresh()
    named = {"sentinel_username": WATCHER, "sentinel_password": "secret"}
    *others, right = rule(WATCHER)
    try:
        for rights, is_enough in (([*others, right], True), (others, False)):
            for sentinel in sentinels.sentinels:
                sentinel.command("ACL", "SETUSER", WATCHER, "reset", *rights)
            with CacheManager(RedisBackend(patient(sentinels.url), **named)) as cache:
                assert call(cache, "ping").ok == is_enough
    finally:
        for sentinel in sentinels.sentinels:
            sentinel.command("ACL", "DELUSER", WATCHER)
