"""The talk on one link, word for word: questions, answers, news, and what ends it."""

from __future__ import annotations

import socket
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import redis

import symphra_cache._redis_link as link
from near_server import OK, array, bulk
from symphra_cache._redis_link import Session
from symphra_cache._redis_replies import PythonPush, PythonReader, packed_in_python

if TYPE_CHECKING:
    from collections.abc import Iterator

HELLO = packed_in_python(("HELLO",))
PING = packed_in_python(("PING",))
INFO = packed_in_python(("CLUSTER", "INFO"))


def role(name: bytes) -> bytes:
    return b"%2\r\n" + bulk(b"proto") + b":3\r\n" + bulk(b"role") + bulk(name)


def vouched(name: bytes = b"master") -> bytes:
    """Return what a server that is none of a cluster answers."""
    return b"+PONG\r\n" + role(name)


def info(state: bytes = b"ok", epoch: int = 5) -> bytes:
    return bulk(b"cluster_state:%b\r\ncluster_current_epoch:%d\r\nother:1\r\n" % (state, epoch))


def news(*names: bytes) -> bytes:
    told = array(*map(bulk, names)) if names else b"_\r\n"
    return b">2\r\n" + bulk(b"invalidate") + told


class Talk:
    """A session, with the server's end of its connection in the test's hands."""

    def __init__(self, *, of_cluster: bool) -> None:
        self.server, sock = socket.socketpair()
        self.button, self.bell = socket.socketpair()
        for end in (self.server, sock):
            end.settimeout(10)
        self.heard: list[object] = []
        self.connection = SimpleNamespace(
            _sock=sock, _parser=SimpleNamespace(parse_error=redis.ResponseError)
        )
        self.session = Session(
            self.connection, self.bell, self.heard.append, self.heard.append, of_cluster=of_cluster
        )

    def ask(self) -> bytes:
        """Have the session put its question; return it."""
        self.session._asked_at = 0.0
        self.session.wait()
        return self.server.recv(65_536)

    def say(self, *replies: bytes) -> list[object]:
        """Send replies; return what has been heard by the session since."""
        self.server.sendall(b"".join(replies))
        self.session.wait()
        heard = self.heard[:]
        self.heard.clear()
        return heard

    def close(self) -> None:
        self.session.close()
        for end in (self.server, self.connection._sock, self.button, self.bell):
            end.close()


@pytest.fixture(params=["installed", "python"], autouse=True)
def _reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "python":
        monkeypatch.setattr(link, "reader", PythonReader)
        monkeypatch.setattr(link, "Push", PythonPush)


@pytest.fixture
def talk() -> Iterator[Talk]:
    talk = Talk(of_cluster=False)
    yield talk
    talk.close()


@pytest.fixture
def node() -> Iterator[Talk]:
    talk = Talk(of_cluster=True)
    yield talk
    talk.close()


def test_an_answer_is_good_from_when_its_question_was_sent(talk: Talk) -> None:
    before = time.monotonic()
    assert talk.ask() == PING + HELLO
    asked = time.monotonic()
    time.sleep(0.01)
    (confirmed,) = talk.say(vouched())
    assert isinstance(confirmed, float)
    assert before <= confirmed <= asked


def test_news_is_heard_in_its_order_before_the_answer_behind_it(talk: Talk) -> None:
    talk.ask()
    replies = b"".join([news(b"a", b"b"), news(), news(b"c"), vouched(), news(b"d")])
    first, second, third, confirmed, last = talk.say(replies)
    assert [first, second, third, last] == [[b"a", b"b"], None, [b"c"], [b"d"]]
    assert isinstance(confirmed, float)


def test_what_comes_in_pieces_is_heard_when_it_is_whole(talk: Talk) -> None:
    talk.ask()
    text = news(b"a", b"b") + vouched()
    heard: list[object] = []
    for at in range(len(text)):
        heard += talk.say(text[at : at + 1])
    assert heard[0] == [b"a", b"b"]
    assert len(heard) == 2


def test_other_pushes_are_nobodys_business(talk: Talk) -> None:
    other = b">3\r\n" + bulk(b"message") + bulk(b"channel") + bulk(b"text")
    assert talk.say(other) == []


def test_prefixes_are_tracked_when_the_server_says_so(talk: Talk) -> None:
    done: list[bool] = []
    talk.session.track([b"a:", b"b:"], lambda: done.append(True))
    wanted = ("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", b"a:", "PREFIX", b"b:")
    assert talk.server.recv(65_536) == packed_in_python(wanted)
    assert not done
    talk.session._asked_at = time.monotonic()
    talk.say(OK)
    assert done == [True]


def test_a_refusal_ends_it(talk: Talk) -> None:
    talk.session.track([b"a:"], list)
    with pytest.raises(redis.ResponseError, match="NOPERM"):
        talk.say(b"-NOPERM this user has no permissions\r\n")


def test_a_server_that_is_stuck_in_a_script_vouches_for_nothing(talk: Talk) -> None:
    talk.ask()
    with pytest.raises(redis.ResponseError, match="BUSY"):
        talk.say(b"-BUSY Redis is busy running a script\r\n", role(b"master"))
    assert not talk.heard


def test_a_question_without_an_answer_ends_it(talk: Talk) -> None:
    talk.ask()
    talk.session._asked_at -= link.PROBE_EVERY
    with pytest.raises(redis.TimeoutError):
        talk.session.wait()


def test_an_answer_that_waits_already_is_heard_before_it_is_missed(talk: Talk) -> None:
    talk.ask()
    talk.session._asked_at -= 100
    assert len(talk.say(vouched())) == 1  # and the next question is put
    assert talk.server.recv(65_536) == PING + HELLO


def test_the_end_of_the_connection_ends_it(talk: Talk) -> None:
    talk.ask()
    talk.server.close()
    with pytest.raises(redis.ConnectionError):
        talk.session.wait()


def test_another_role_ends_it(talk: Talk) -> None:
    talk.ask()
    talk.say(vouched(b"slave"))  # what it was all the time
    talk.ask()
    talk.say(vouched(b"slave"))
    talk.ask()
    with pytest.raises(redis.ConnectionError, match="role"):
        talk.say(vouched())
    assert not talk.heard


def test_a_master_that_the_sentinels_are_to_name_again_ends_it(talk: Talk) -> None:
    talk.connection.is_suspect = True
    talk.session._asked_at = 0.0
    with pytest.raises(redis.ConnectionError, match="sentinels"):
        talk.session.wait()


def test_a_ring_ends_the_waiting(talk: Talk) -> None:
    talk.session._asked_at = time.monotonic() + 1_000
    talk.button.send(b"!!!")
    talk.session.wait()
    talk.bell.setblocking(False)
    with pytest.raises(BlockingIOError):
        talk.bell.recv(1)


# --- nodes of a cluster -------------------------------------------------------------------


def test_a_node_is_asked_for_its_cluster_in_the_same_packet(node: Talk) -> None:
    for _ in range(3):
        assert node.ask() == INFO + HELLO
        assert len(node.say(info(), role(b"master"))) == 1


ENDS: dict[str, tuple[Any, ...]] = {
    "a replica": (info(), role(b"slave"), "no primary"),
    "down": (info(state=b"fail"), role(b"master"), "cluster is down"),
}


@pytest.mark.parametrize("case", ENDS)
def test_a_node_that_can_vouch_for_nothing_ends_it(node: Talk, case: str) -> None:
    *replies, words = ENDS[case]
    node.ask()
    with pytest.raises(redis.ConnectionError, match=words):
        node.say(*replies)
    assert not node.heard


def test_another_epoch_of_the_cluster_ends_it(node: Talk) -> None:
    node.ask()
    assert node.say(info(epoch=5), role(b"master"))
    node.ask()
    with pytest.raises(redis.ConnectionError, match="epoch"):
        node.say(info(epoch=6), role(b"master"))
    assert not node.heard


def test_a_node_without_an_answer_about_its_cluster_vouches_for_nothing(node: Talk) -> None:
    node.ask()
    assert node.say(info()) == []
