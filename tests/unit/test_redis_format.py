"""What stands on the Redis server: names, integers, frames, times to live, foreign things."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from redis_servers import RedisServer, shared_server
from symphra_cache import CacheManager, NotAnIntegerError
from symphra_cache._frame import FrameCodec
from symphra_cache.backends import RedisBackend
from symphra_cache.serializers import JSONSerializer, MessagePackSerializer, PickleSerializer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from faces import Caller

GOLDEN = json.loads(Path(__file__).with_name("golden_redis.json").read_text(encoding="utf-8"))
HIGHEST, LOWEST = 2**63 - 1, -(2**63)
FRAME = b"\xf5S"
SECRET = "0123456789abcdef0123456789abcdef"
KEYS = ["k", "two words", "a:b:c", "nul\0in", "\U0001f600", "{tag}k", "new\nline", "*?[a]\\"]
NOT_CANONICAL = [
    *("012", "+1", "1_000", " 1", "1 ", "1\n", "-0", "--1", "-", "1.0", "1e3", "0x1f", "00"),
    *("12345678901234567890", "9223372036854775808", "-9223372036854775809", ""),
    *("garbage", "\u0661", "\xf5S", "None"),
]
FOREIGN = {
    "list": ("RPUSH", "symphra:k", "x"),
    "hash": ("HSET", "symphra:k", "f", "x"),
    "set": ("SADD", "symphra:k", "x"),
    "zset": ("ZADD", "symphra:k", 1, "x"),
    "stream": ("XADD", "symphra:k", "*", "f", "x"),
}


@pytest.fixture
def server() -> RedisServer:
    return shared_server().fresh()


@pytest.fixture
def cache(server: RedisServer) -> Iterator[CacheManager]:
    with CacheManager(RedisBackend(server.url)) as cache:
        yield cache


def names(server: RedisServer) -> set[bytes]:
    return set(server.command("KEYS", "*"))


@pytest.mark.parametrize("key", KEYS)
def test_names_are_namespace_colon_key(
    server: RedisServer, cache: CacheManager, call: Caller, key: str
) -> None:
    call(cache, "set", key, 1)
    assert names(server) == {b"symphra:" + key.encode()}
    assert call.scan(cache) == [key]


def test_names_hold_the_path_of_nested_namespaces(server: RedisServer, call: Caller) -> None:
    with CacheManager(RedisBackend(server.url), namespace="shop") as shop:
        users = shop.namespace("users")
        call(users, "set", "42", "Ada")
        call(shop, "set_many", {"users:42": 1, "/users:42": 2})
        assert names(server) == {b"shop/users:42", b"shop:users:42", b"shop:/users:42"}
        assert call.scan(users) == ["42"]
        assert call.scan(shop) == ["/users:42", "users:42"]


@pytest.mark.parametrize("number", [42, -1, 0, HIGHEST, LOWEST])
def test_integers_are_decimal_text(
    server: RedisServer, cache: CacheManager, call: Caller, number: int
) -> None:
    call(cache, "set", "set", number)
    call(cache, "set_many", {"many": number})
    call(cache, "add", "added", number)
    call(cache, "incr", "counted", number)
    for key in ("set", "many", "added", "counted"):
        assert server.command("GET", f"symphra:{key}") == str(number).encode()
        read = call(cache, "get", key)
        assert (type(read), read) == (int, number)


@pytest.mark.parametrize("value", [None, True, False, "42", "", 2**63, LOWEST - 1, 1.0, b"1", [1]])
def test_all_else_stands_in_a_frame_of_its_name(
    server: RedisServer, cache: CacheManager, call: Caller, value: object
) -> None:
    codec = FrameCodec(MessagePackSerializer())
    call(cache, "set", "set", value)
    call(cache, "set_many", {"many": value})
    call(cache, "add", "added", value)
    for name in (b"symphra:set", b"symphra:many", b"symphra:added"):
        stored = server.command("GET", name)
        assert stored.startswith(FRAME)
        decoded = codec.decode(name, stored)
        assert (type(decoded), decoded) == (type(value), value)
        read = call(cache, "get", name.decode().removeprefix("symphra:"))
        assert (type(read), read) == (type(value), value)


def test_bytes_that_were_written_once_are_read_for_ever(
    server: RedisServer, cache: CacheManager, call: Caller
) -> None:
    codec = FrameCodec(MessagePackSerializer())
    for name, stored, wanted in GOLDEN:
        server.command("SET", name, bytes.fromhex(stored))
        value = call(cache, "get", name.removeprefix("symphra:"))
        assert repr(value) == wanted
        if type(value) is not int or not LOWEST <= value <= HIGHEST:
            fixed = bytes(range(1, 9))
            assert codec.encode(name.encode(), value, nonce=fixed).hex() == stored
    assert call(cache, "count") == len(GOLDEN)
    assert cache.stats().corrupt == 0


def test_a_frame_under_another_name_is_corrupt(
    server: RedisServer, cache: CacheManager, call: Caller
) -> None:
    call(cache, "set", "one", "value")
    server.command("RENAME", "symphra:one", "symphra:other")
    assert call(cache, "get", "other", "default") == "default"
    assert cache.stats().corrupt == 1


@pytest.mark.parametrize("text", NOT_CANONICAL)
def test_text_that_the_cache_never_writes_is_absent(
    server: RedisServer, cache: CacheManager, call: Caller, text: str
) -> None:
    stored = text.encode("latin-1") if text == "\xf5S" else text.encode()
    server.command("SET", "symphra:k", stored)
    assert call(cache, "get", "k", "default") == "default"
    assert cache.stats().corrupt == 1
    assert call(cache, "get_many", ["k"]) == {}
    assert cache.stats().corrupt == 2
    with pytest.raises(NotAnIntegerError):
        call(cache, "incr", "k")
    assert server.command("GET", "symphra:k") == stored
    assert call(cache, "exists", "k") is False
    assert call(cache, "ttl", "k") == 0.0
    assert (call.scan(cache), call(cache, "count")) == ([], 0)
    assert call(cache, "add", "k", "new") is True
    assert call(cache, "get", "k") == "new"


@pytest.mark.parametrize("command", FOREIGN.values(), ids=FOREIGN)
def test_another_type_under_our_name_is_absent(
    server: RedisServer, cache: CacheManager, call: Caller, command: tuple[object, ...]
) -> None:
    server.command(*command)
    call(cache, "set", "ours", 1)
    assert call(cache, "get", "k", "default") == "default"
    assert call(cache, "get_many", ["k", "ours"]) == {"ours": 1}
    assert call(cache, "pop", "k", "default") == "default"
    assert call(cache, "exists", "k") is False
    assert call(cache, "ttl", "k") == 0.0
    assert call(cache, "touch", "k", None) is False
    assert (call.scan(cache), call(cache, "count")) == (["ours"], 1)
    before = server.command("TYPE", "symphra:k"), server.command("DUMP", "symphra:k")
    with pytest.raises(NotAnIntegerError):
        call(cache, "incr", "k")
    assert (server.command("TYPE", "symphra:k"), server.command("DUMP", "symphra:k")) == before


def replaced_by(name: str, *arguments: Any) -> Callable[[Caller, CacheManager], Any]:
    return lambda call, cache: call(cache, name, *arguments)


@pytest.mark.parametrize("command", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize(
    ("write", "answer", "left"),
    [
        (replaced_by("add", "k", "new"), True, "new"),
        (replaced_by("add", "k", "new", 60), True, "new"),
        (replaced_by("set", "k", "new"), True, "new"),
        (replaced_by("set_many", {"k": "new"}), [], "new"),
        (replaced_by("delete", "k"), False, None),
        (replaced_by("delete_many", ["k"]), 0, None),
        (replaced_by("clear"), 0, None),
    ],
    ids=["add", "add-ttl", "set", "set_many", "delete", "delete_many", "clear"],
)
def test_another_type_under_our_name_is_replaced_and_removed(
    server: RedisServer,
    cache: CacheManager,
    call: Caller,
    command: tuple[object, ...],
    write: Callable[[Caller, CacheManager], Any],
    answer: object,
    left: object,
) -> None:
    server.command(*command)
    assert write(call, cache) == answer
    assert call(cache, "get", "k") == left
    assert server.command("EXISTS", "symphra:k") == (left is not None)


def test_times_to_live_are_the_servers(
    server: RedisServer, cache: CacheManager, call: Caller
) -> None:
    def left(key: str) -> int:
        return int(server.command("PTTL", f"symphra:{key}"))

    call(cache, "set", "set", 1, 60)
    call(cache, "set_many", {"many": "text"}, 60)
    call(cache, "add", "added", 1, 60)
    call(cache, "incr", "counted", ttl=60)
    for key in ("set", "many", "added", "counted"):
        assert 50_000 < left(key) <= 60_000
    call(cache, "incr", "counted", ttl=3600)
    assert left("counted") <= 60_000
    call(cache, "add", "added", 2, 3600)
    assert left("added") <= 60_000
    call(cache, "touch", "set", 3600.5)
    assert 3_590_000 < left("set") <= 3_600_500
    call(cache, "touch", "set", None)
    assert left("set") == -1
    call(cache, "set", "many", 1)
    call(cache, "set", "never", 1, None)
    call(cache, "incr", "forever")
    assert [left(key) for key in ("many", "never", "forever")] == [-1, -1, -1]
    call(cache, "set", "never", 1, 0)
    assert left("never") == -2


def test_clear_never_touches_a_foreign_key(
    server: RedisServer, cache: CacheManager, call: Caller
) -> None:
    foreign = {b"symphra2:k", b"other", b"symphra!lock:x", b"symphra", b"xsymphra:k", b"Symphra:k"}
    for name in foreign:
        server.command("SET", name, "theirs")
    nested = cache.namespace("child").namespace("grandchild")
    call(cache, "set_many", {"k": 1, "l": "text"})
    call(nested, "set", "k", 1)
    assert call(cache, "clear") == 2
    assert names(server) == foreign | {b"symphra/child/grandchild:k"}
    assert call(cache, "clear", nested=True) == 1
    assert names(server) == foreign


def test_signed_integers_are_framed_and_give_up_incr(server: RedisServer, call: Caller) -> None:
    serializer = PickleSerializer(secret=SECRET, sign_integers=True)
    with CacheManager(RedisBackend(server.url, serializer=serializer)) as cache:
        call(cache, "set", "k", 42)
        stored = server.command("GET", "symphra:k")
        assert stored.startswith(FRAME)
        assert call(cache, "get", "k") == 42
        for key in ("k", "missing"):
            with pytest.raises(NotAnIntegerError, match="sign_integers"):
                call(cache, "incr", key)
        assert names(server) == {b"symphra:k"}
        assert server.command("GET", "symphra:k") == stored
        server.command("SET", "symphra:k", "42")
        assert call(cache, "get", "k", "default") == "default"
        assert call(cache, "exists", "k") is False
        assert cache.stats().corrupt == 1


def test_caches_with_different_serializers_miss_each_others_frames(
    server: RedisServer, cache: CacheManager, call: Caller
) -> None:
    with CacheManager(RedisBackend(server.url, serializer=JSONSerializer())) as other:
        for writer, reader in ((cache, other), (other, cache)):
            call(writer, "set", "k", "text")
            assert call(writer, "get", "k") == "text"
            assert call(reader, "get", "k", "default") == "default"
            assert call(reader, "exists", "k") is False
            assert reader.stats().corrupt == 1
        call(cache, "set", "n", 1)
        assert call(other, "incr", "n") == 2


def test_all_works_without_hiredis(server: RedisServer) -> None:
    script = """
        import asyncio, sys
        sys.modules["hiredis"] = None
        import redis.utils
        from symphra_cache import CacheManager
        from symphra_cache.backends import RedisBackend

        assert redis.utils.HIREDIS_AVAILABLE is False
        cache = CacheManager(RedisBackend(sys.argv[1]))
        cache.set_many({"a": None, "b": "x" * 100_000, "n": 1})
        assert cache.get("a", "default") is None
        assert cache.get_many(["b", "missing", "n"]) == {"b": "x" * 100_000, "n": 1}
        assert cache.incr("n") == 2
        assert sorted(cache.scan()) == ["a", "b", "n"]

        async def work():
            await cache.aset("c", {"k": [1.5]})
            assert await cache.aget("c") == {"k": [1.5]}
            assert await cache.aget_many(["n", "missing", "a"]) == {"n": 2, "a": None}
            assert await cache.aincr("n", 5) == 7
            assert sorted([key async for key in cache.ascan()]) == ["a", "b", "c", "n"]

        asyncio.run(work())
        cache.close()
        print("done")
    """
    told = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", textwrap.dedent(script), server.url],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (told.stdout.strip(), told.stderr) == ("done", "")
