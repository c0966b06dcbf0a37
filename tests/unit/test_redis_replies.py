"""Commands and replies as bytes: what is used without hiredis does as hiredis does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import InvalidResponse, ResponseError

from symphra_cache._redis_replies import (
    NOTHING,
    PythonReader,
    packed,
    packed_in_python,
    reader,
)

if TYPE_CHECKING:
    from collections.abc import Callable

REPLIES: dict[bytes, Any] = {
    b"+OK\r\n": b"OK",
    b":-12\r\n": -12,
    b"$3\r\na\r\n\r\n": b"a\r\n",
    b"$0\r\n\r\n": b"",
    b"$-1\r\n": None,
    b"_\r\n": None,
    b"#t\r\n": True,
    b"#f\r\n": False,
    b",1.5\r\n": 1.5,
    b"*0\r\n": [],
    b"*-1\r\n": None,
    b"*3\r\n$1\r\na\r\n:1\r\n$-1\r\n": [b"a", 1, None],
    b"*2\r\n*1\r\n*1\r\n:1\r\n*1\r\n+x\r\n": [[[1]], [b"x"]],
    b"%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n:2\r\n": {b"a": 1, b"b": [2]},
    b"~2\r\n:1\r\n:2\r\n": [1, 2],
    b"=7\r\ntxt:abc\r\n": b"abc",
}
ALL = b"".join(REPLIES)
COMMANDS: dict[tuple[Any, ...], bytes] = {
    ("PING",): b"*1\r\n$4\r\nPING\r\n",
    ("SET", b"k", b"\r\n$0", "PX", 12): (
        b"*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\n\r\n$0\r\n$2\r\nPX\r\n$2\r\n12\r\n"
    ),
    ("GET", "键".encode()): b"*2\r\n$3\r\nGET\r\n$3\r\n\xe9\x94\xae\r\n",
    ("EVALSHA", "abc", 2, b"", b"\x00\xff", -1, "é"): (
        b"*7\r\n$7\r\nEVALSHA\r\n$3\r\nabc\r\n$1\r\n2\r\n$0\r\n\r\n$2\r\n\x00\xff\r\n"
        b"$2\r\n-1\r\n$2\r\n\xc3\xa9\r\n"
    ),
}


def read(parts: list[bytes]) -> list[Any]:
    own = PythonReader(ResponseError)
    found = []
    for part in parts:
        own.feed(part)
        while (reply := own.gets()) is not NOTHING:
            found.append(reply)
    return found


def test_what_is_expected_is_what_is_read_with_what_is_installed() -> None:
    installed = reader(ResponseError)
    installed.feed(ALL)
    assert [installed.gets() for _ in REPLIES] == list(REPLIES.values())
    assert installed.gets() is NOTHING


def test_replies_are_read_wherever_they_are_cut() -> None:
    wanted = list(REPLIES.values())
    assert read([ALL]) == wanted
    assert read([ALL[at : at + 1] for at in range(len(ALL))]) == wanted
    for cut in range(len(ALL)):
        assert read([ALL[:cut], ALL[cut:]]) == wanted


def test_errors_are_replies_and_end_nothing() -> None:
    first, second, third, number = read([b"-ERR no\r\n!6\r\nERR so\r\n*1\r\n-WRONGTYPE\r\n:1\r\n"])
    assert isinstance(first, ResponseError)
    assert isinstance(second, ResponseError)
    assert [str(first), str(second), str(third[0]), number] == ["ERR no", "ERR so", "WRONGTYPE", 1]


def test_what_is_no_reply_is_refused() -> None:
    for text in (b"?\r\n", b"hello\r\n", b"\r\n", b"*-7\r\n", b"$-2\r\n"):
        with pytest.raises(InvalidResponse):
            read([text])
    with pytest.raises(ValueError, match="int"):
        read([b"$many\r\n"])


def test_large_replies_in_small_pieces_take_time_in_proportion() -> None:
    text = b"v" * 8_000_000
    whole = b"*2\r\n$%d\r\n%b\r\n:1\r\n" % (len(text), text)
    many = b"*40000\r\n" + b":1234567\r\n" * 40_000
    begun = time.monotonic()
    assert read([whole[at : at + 4_096] for at in range(0, len(whole), 4_096)]) == [[text, 1]]
    assert read([many[at : at + 256] for at in range(0, len(many), 256)]) == [[1_234_567] * 40_000]
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("pack", [packed, packed_in_python])
def test_commands_are_packed(pack: Callable[[Any], bytes]) -> None:
    assert {command: pack(command) for command in COMMANDS} == COMMANDS
