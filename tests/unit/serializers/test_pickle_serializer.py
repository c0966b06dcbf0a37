"""The pickle serializer: secrets, what can't be pickled and where it is."""

from __future__ import annotations

import copyreg
import pickle
import re
import threading
from collections import OrderedDict
from dataclasses import dataclass

import pytest
from serializer_samples import SAMPLES, Pair, User, same

from symphra_cache import SerializationError
from symphra_cache.exceptions import ConfigurationError
from symphra_cache.serializers import PickleSerializer, pickle_value

SECRET = "a secret of at least 32 bytes: 0123456789"
serializer = PickleSerializer(SECRET)


@pytest.mark.parametrize("value", SAMPLES.values(), ids=SAMPLES.keys())
def test_each_type_comes_back_as_it_was(value: object) -> None:
    assert same(serializer.loads(serializer.dumps(value)), value)


def test_whatever_else_pickle_takes_comes_back() -> None:
    for value in (Pair(1, 2), OrderedDict(a=1), range(3), re.compile("a"), int, len):
        found = serializer.loads(serializer.dumps(value))
        assert found == value
        assert type(found) is type(value)


LOCK = threading.Lock()


@dataclass
class Node:
    owner: object = None


@dataclass(slots=True)
class Slotted:
    owner: object = None


class Rows(list):
    pass


class Careful:
    """Its state, and so what can be wrong with it, is not its ``__dict__``."""

    def __init__(self, kept: object) -> None:
        self.lock = LOCK
        self.kept = kept

    def __getstate__(self) -> dict[str, object]:
        return {"kept": self.kept}


class Shy:
    def __getstate__(self) -> object:
        raise RuntimeError("not to be pickled")


class Odd:
    def __init__(self, part: object) -> None:
        self.part = part

    def __reduce__(self) -> object:
        return Odd, (self.part,)


class Bundle:
    def __getstate__(self) -> object:
        return [LOCK]


class Listed:
    pass


copyreg.pickle(Listed, lambda value: (Node, (LOCK,)))


def rows(*items: object, **attributes: object) -> Rows:
    value = Rows(items)
    vars(value).update(attributes)
    return value


def local() -> object:
    class Local:
        pass

    return Local()


PATHS = [
    ("value: lock", LOCK),
    ("value['items'][3].owner: lock", {"items": [1, 2, 3, Node(LOCK)]}),
    ("value[0][1]: lock", [(1, LOCK)]),
    ("value.owner.owner: lock", Slotted(Slotted(LOCK))),
    ("value{...}: lock", {1, LOCK}),
    ("value{...}[1]: lock", frozenset({(1, LOCK)})),
    ("value.keys()[1]: lock", {1: 2, LOCK: 3}),
    ("value[1]: lock", rows(1, LOCK)),
    ("value.note: lock", rows(1, note=LOCK)),
    ("value[1]: lock", Pair(1, LOCK)),
    ("value['a']: lock", OrderedDict(a=LOCK)),
    ("value.kept[0]: lock", Careful([LOCK])),
    ("value[0]: Shy", [Shy()]),
    ("value.__reduce__()[1][0]: lock", Odd(LOCK)),
    ("value.__getstate__()[0]: lock", Bundle()),
    ("value.__reduce__()[1][0]: lock", Listed()),
    ("value[0]: local.<locals>.Local", [local()]),
    ("value['f']: function", {"f": lambda: None}),
    ("value['g']: generator", {"g": (i for i in ())}),
]


@pytest.mark.parametrize(("start", "value"), PATHS)
def test_the_error_names_the_path_and_the_reason(start: str, value: object) -> None:
    for dumps in (serializer.dumps, pickle_value):
        with pytest.raises(SerializationError) as caught:
            dumps(value)
        text = str(caught.value)
        assert text.startswith(f"{start} can't be stored; ")
        assert "convert it or leave it out" in text
        assert len(text) < 500
        assert isinstance(caught.value.__cause__, Exception)


def test_a_circle_around_the_culprit_ends() -> None:
    circle: list[object] = []
    circle += [circle, {"a": [circle, (circle, LOCK)]}]
    with pytest.raises(SerializationError, match=r"value\[1\]\['a'\]\[1\]\[1\]: lock can't"):
        pickle_value(circle)


def test_a_circle_is_no_problem() -> None:
    circle: list[object] = []
    circle.append(circle)
    found = pickle.loads(pickle_value(circle))
    assert found[0] is found


def test_too_deep_nesting_is_an_error() -> None:
    value: list[object] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(SerializationError, match="recursion limit: flatten it"):
        pickle_value({"a": value})
    while value:  # or freeing it takes Python's own protection to its limits
        (value,) = value


def test_a_lack_of_memory_is_not_blamed_on_the_value() -> None:
    class Huge:
        def __reduce__(self) -> object:
            raise MemoryError

    with pytest.raises(MemoryError):
        pickle_value(Huge())


@pytest.mark.parametrize("secret", [None, [], ()])
def test_without_a_secret_it_says_how_to_make_one(secret: object) -> None:
    with pytest.raises(ConfigurationError, match=r"needs a secret: .*secrets\.token_hex\(32\)"):
        PickleSerializer(secret)
    with pytest.raises(ConfigurationError, match="needs a secret"):
        PickleSerializer()


@pytest.mark.parametrize(
    "secret", ["tops3cret", b"tops3cret", ["x" * 32, "tops3cret"], "tops3cret\ud800" * 9]
)
def test_a_weak_secret_is_refused_and_not_shown(secret: object) -> None:
    with pytest.raises(ConfigurationError) as caught:
        PickleSerializer(secret)
    assert "tops3cret" not in repr(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


@pytest.mark.parametrize("secret", [5, {"x" * 32}, bytearray(32), [None], [["x" * 32]], True])
def test_a_secret_of_another_type_is_refused(secret: object) -> None:
    with pytest.raises(ConfigurationError, match="a secret is bytes or str, not"):
        PickleSerializer(secret)


def test_a_secret_is_measured_in_bytes() -> None:
    assert PickleSerializer("ä" * 16)
    with pytest.raises(ConfigurationError, match="31 bytes"):
        PickleSerializer("x" * 31)


def test_the_secret_is_nowhere_to_be_seen() -> None:
    for secret in (SECRET, SECRET.encode(), [SECRET, "y" * 40]):
        found = PickleSerializer(secret, sign_integers=True)
        shown = repr(found) + str(found) + repr([getattr(found, n) for n in found.__slots__])
        assert "secret of" not in shown
        assert "yyy" not in shown
    assert repr(found) == "PickleSerializer(compress=None, compress_over=1024)"


def test_sign_integers_is_kept_and_checked() -> None:
    assert PickleSerializer(SECRET, sign_integers=True).sign_integers is True
    assert serializer.sign_integers is False
    with pytest.raises(ConfigurationError, match="sign_integers"):
        PickleSerializer(SECRET, sign_integers=1)


def test_a_copy_signs_as_the_original() -> None:
    copy = pickle.loads(pickle.dumps(serializer))
    assert copy._verify(b"n", b"body", serializer._sign(b"n", b"body"))


def test_users_need_no_registration() -> None:
    value = [User("a", owner=Node(1))]
    assert serializer.loads(serializer.dumps(value)) == value
