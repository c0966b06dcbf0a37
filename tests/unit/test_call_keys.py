"""Keys of calls: one however a call is written, no two for different ones, legal, or an error."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symphra_cache._call_keys import call_key
from symphra_cache._keys import checked_key
from symphra_cache._patterns import compile_pattern
from symphra_cache.exceptions import ConfigurationError, InvalidKeyError, UnkeyableArgumentError

HERE = __name__


def one(x: Any) -> None: ...
def none() -> None: ...
def two(x: Any, y: Any = 2) -> None: ...
def kinds(
    a: Any, /, b: Any, c: Any = 3, *rest: Any, d: Any, e: Any = (5,), **more: Any
) -> None: ...
def bare(a: Any, *, b: Any = 1) -> None: ...
def positional(a: Any, b: Any = 1, /) -> None: ...
def rest(*values: Any, **options: Any) -> None: ...
def hiding(
    type: Any, len: Any, int: Any, repr: Any = 4, _: Any = 5, __: Any = 6, _type: Any = 7
) -> None: ...


async def later(x: Any) -> None: ...
def each(x: Any) -> Any:
    yield x


class Shelf:
    def __init__(self, number: int) -> None:
        self.number = number

    def __cache_key__(self) -> int:
        return self.number

    def book(self, at: Any) -> None: ...

    @classmethod
    def make(cls, at: Any) -> None: ...

    @staticmethod
    def size(at: Any) -> None: ...


class TallShelf(Shelf):
    """A subclass."""


class Unkeyed:
    def method(self) -> None: ...


def test_one_key_however_a_call_is_written() -> None:
    key = call_key(two)
    assert key(1) == key(x=1) == key(1, 2) == key(1, y=2) == key(y=2, x=1) == f"{HERE}.two(1,2)"


@pytest.mark.parametrize(
    ("function", "args", "kwargs", "text"),
    [
        (none, (), {}, "none()"),
        (one, (None,), {}, "one(None)"),
        (one, ("it's",), {}, 'one("it\'s")'),
        (one, ("é{}",), {}, "one('é{}')"),
        (one, ("é\u0378\xad",), {}, "one('é\u0378\\u00ad')"),
        (kinds, (1, 2), {"d": 4}, "kinds(1,2,3,*(),4,(5,),**{})"),
        (
            *(kinds, (1, 2, "c", 8, 9), {"d": 4, "z": 0, "y": 1}),
            "kinds(1,2,'c',*(8,9),4,(5,),**{'y':1,'z':0})",
        ),
        (kinds, (1, 2), {"d": 4, "a": 1}, "kinds(1,2,3,*(),4,(5,),**{'a':1})"),
        (bare, (True,), {"b": 1.0}, "bare(True,1.0)"),
        (positional, (1,), {}, "positional(1,1)"),
        (rest, (), {}, "rest(*(),**{})"),
        (rest, ([1],), {"b": 1, "a": None}, "rest(*([1],),**{'a':None,'b':1})"),
        (hiding, (1, "2", 3), {}, "hiding(1,'2',3,4,5,6,7)"),
        (later, (1,), {}, "later(1)"),
        (each, (1,), {}, "each(1)"),
        (Shelf.size, (1,), {}, "Shelf.size(1)"),
        (Shelf.book, (Shelf(7), 1), {}, f"Shelf.book({HERE}:Shelf(7),1)"),
        (Shelf.book, (TallShelf(7), 1), {}, f"Shelf.book({HERE}:TallShelf(7),1)"),
        (Shelf(7).book, (1,), {}, f"Shelf.book({HERE}:Shelf(7),1)"),
        (Shelf.make, (1,), {}, f"Shelf.make(<class {HERE}:Shelf>,1)"),
        (TallShelf.make, (1,), {}, f"Shelf.make(<class {HERE}:TallShelf>,1)"),
    ],
)
def test_the_key_of_a_call(function: Any, args: Any, kwargs: Any, text: str) -> None:
    assert call_key(function)(*args, **kwargs) == f"{HERE}.{text}"


def test_numbers_and_texts_that_look_alike_have_keys_of_their_own() -> None:
    key = call_key(one)
    assert len({key(1), key(1.0), key(True), key("1"), key(b"1"), key((1,)), key([1])}) == 7


def test_arguments_are_not_moved_between_parameters() -> None:
    key = call_key(rest)
    calls = [key(1), key((1,)), key(1, 1), key(a=1), key({"a": 1}), key("1,1"), key("1", "1")]
    assert len({*calls}) == len(calls)
    assert len({call_key(two)("a", "b,c"), call_key(two)("a','b", "c")}) == 2


def test_what_a_decorator_wraps_names_the_key() -> None:
    @functools.wraps(two)
    def wrapper(*args: Any, **kwargs: Any) -> None: ...

    assert call_key(wrapper)(1) == call_key(two)(x=1)


def test_a_default_is_read_at_each_call_like_the_functions_own() -> None:
    def grows(x: Any, seen: Any = []) -> None:  # noqa: B006
        seen.append(x)

    key = call_key(grows)
    before = key(1)
    grows(1)
    assert key(1) != before
    assert key(1) == key(1, [1])


def error_of(function: Any, args: Any, kwargs: Any) -> str | None:
    try:
        function(*args, **kwargs)
    except TypeError as error:
        return f"{type(error).__name__}: {error}"
    return None


CALLS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    *(((), {}), ((1, 2, 3, 4, 5, 6, 7, 8, 9), {}), ((1,), {"x": 1}), ((1,), {"a": 1})),
    *(((1,), {"unknown": 1}), ((), {"y": 1}), ((1, 2), {}), ((), {"a": 1}), ((), {"xx": 1})),
]


@pytest.mark.parametrize("function", [none, one, two, kinds, bare, positional, hiding])
def test_a_wrong_call_gets_the_functions_own_error(function: Any) -> None:
    wrong = 0
    for args, kwargs in CALLS:
        own, found = error_of(function, args, kwargs), error_of(call_key(function), args, kwargs)
        assert found == own
        wrong += own is not None
    assert wrong


def test_a_wrong_call_of_a_method_gets_the_methods_own_error() -> None:
    for method in (Shelf(1).book, Shelf.make, Shelf(1).size):
        with pytest.raises(TypeError) as own:
            method()
        with pytest.raises(TypeError) as raised:
            call_key(method)()
        assert str(raised.value) == str(own.value)


def test_the_builder_has_the_parameters_of_the_function() -> None:
    def shape(function: Any) -> Any:
        each = inspect.signature(function).parameters.values()
        return [(parameter.name, parameter.kind, parameter.default) for parameter in each]

    for function in (none, two, kinds, bare, positional, rest, hiding):
        assert shape(call_key(function)) == shape(function)


@pytest.mark.parametrize(
    "argument", ["x" * 300, "é" * 300, [1] * 300, 10**250, 10**6000, b"x" * 300], ids=type
)
def test_a_digest_stands_for_long_arguments(argument: Any) -> None:
    key = call_key(two)
    text = key(argument)
    assert text.startswith(f"{HERE}.two(#")
    assert len(text) == len(f"{HERE}.two(#)") + 40
    assert text == key(x=argument) != key(argument, 3)
    assert text != key([argument])


def test_arguments_are_written_out_as_long_as_the_key_is_short() -> None:
    key = call_key(one)
    longest = "x" * (200 - len(key("")))
    assert key(longest) == f"{HERE}.one('{longest}')"
    assert key(longest + "x").startswith(f"{HERE}.one(#")


def test_a_long_name_is_cut_and_stays_its_own() -> None:
    def named(name: str) -> Any:
        def function(x: Any) -> None: ...

        function.__qualname__ = name
        return function

    keys = [call_key(named("Ä" * 2000 + end)) for end in "ab"]
    texts = [key("x" * length) for key in keys for length in (1, 1000)]
    assert len({*texts}) == 4
    for key, text in zip([keys[0], keys[0], keys[1], keys[1]], texts, strict=True):
        assert checked_key(text) == text
        assert text.startswith(f"{HERE}.ÄÄÄ")
        assert matches(key.pattern, text)
    assert not matches(keys[0].pattern, texts[2])


@settings(max_examples=100, deadline=None)
@given(st.text() | st.text("\ud800\U0001f600\x00", min_size=150), st.text(), st.integers())
def test_every_key_is_legal(argument: str, name: str, number: int) -> None:
    def function(x: Any, /, *more: Any, **options: Any) -> None: ...

    # Some name in it that no lambda has: those are refused.
    function.__qualname__ = f"{name}.f"
    key = call_key(function)
    for text in (key(argument), key(number, argument), key(0, **{argument: 1})):
        assert checked_key(text) == text
        assert matches(key.pattern, text)


def matches(pattern: str | None, key: str) -> bool:
    predicate = compile_pattern(pattern)
    return predicate is None or bool(predicate(key))


def test_what_is_no_character_in_a_name_is_escaped() -> None:
    def local(x: Any) -> None: ...

    local.__qualname__ = "a\ud800\n\\n"
    assert call_key(local)(1) == f"{HERE}.a\\ud800\\u000a\\\\n(1)"


def test_the_pattern_matches_the_keys_of_its_function_alone() -> None:
    def local(x: Any) -> None: ...

    local.__qualname__ = "a*[b]?c"
    for function in (one, Shelf.book, local):
        pattern = call_key(function).pattern
        assert matches(pattern, call_key(function)(*("x" * 300,) * (1 + (function is Shelf.book))))
    assert call_key(one).pattern == f"{HERE}.one(*"
    assert call_key(local).pattern == f"{HERE}.a\\*\\[b]\\?c(*"
    assert not matches(call_key(local).pattern, f"{HERE}.a--b-c(1)")
    assert not matches(call_key(one).pattern, f"{HERE}.one_more(1)")
    assert call_key(Shelf(7).book).pattern == f"{HERE}.Shelf.book(*"


@pytest.mark.parametrize(
    ("function", "args", "message"),
    [
        (two, (object(),), r"two\(\): argument 'x' is an object of type object, of which"),
        (
            two,
            (1, [{"a": len}]),
            r"argument 'y' holds an object of type builtin_function_or_method",
        ),
        (rest, (len,), r"argument '\*values' holds an object of type builtin"),
        (Unkeyed.method, (Unkeyed(),), rf"argument 'self' is an object of type {HERE}\.Unkeyed"),
    ],
)
def test_an_unkeyable_argument_is_named(function: Any, args: Any, message: str) -> None:
    with pytest.raises(UnkeyableArgumentError, match=message) as raised:
        call_key(function)(*args)
    assert isinstance(raised.value, TypeError)
    assert "give key=" in str(raised.value)
    assert "__cache_key__" in str(raised.value)
    assert "0x" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_rest_by_name_is_named_too() -> None:
    with pytest.raises(UnkeyableArgumentError, match=r"argument '\*\*options' holds"):
        call_key(rest)(a=object())


def test_a_circle_is_named() -> None:
    ring: list[Any] = []
    ring.append(ring)
    with pytest.raises(UnkeyableArgumentError, match=r"argument 'x' .*list that holds itself"):
        call_key(one)(ring)


def test_an_error_of_the_programs_own_passes_unchanged() -> None:
    class Broken:
        def __cache_key__(self) -> str:
            raise ValueError("no number yet")

    with pytest.raises(ValueError, match=r"^no number yet$") as raised:
        call_key(one)(Broken())
    assert raised.value.__context__ is None


def homeless() -> Any:
    def function(x: Any) -> None: ...

    function.__module__ = None  # type: ignore[assignment]
    return function


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x, "a lambda has no name of its own"),
        (functools.partial(two, 1), "a partial like this has no name of its own"),
        (homeless(), "a function like this has no name of its own"),
    ],
)
def test_a_function_needs_a_name(function: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        call_key(function)
    assert call_key(function, key=lambda *_, **__: "k")(1) == "k"


def test_a_function_needs_a_signature() -> None:
    with pytest.raises(ConfigurationError, match="does not tell its parameters"):
        call_key(dict)


def test_a_function_makes_the_key() -> None:
    key = call_key(two, key=lambda a, b: f"{a}/{b}")
    assert key(1) == key(x=1) == key(1, y=2) == "1/2"
    assert key.pattern is None


def test_a_function_is_given_all_arguments_as_the_function_takes_them() -> None:
    def shown(*args: Any, **kwargs: Any) -> str:
        return f"{args} {kwargs}"

    assert call_key(kinds, shown)(1, b=2, d=4, z=1) == "(1, 2, 3) {'d': 4, 'e': (5,), 'z': 1}"
    assert call_key(one, str)("k") == "k"
    assert call_key(Shelf(3).book, lambda self, at: f"{self.number}:{at}")(1) == "3:1"


def test_a_function_that_does_not_fit_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match=r"all arguments of .*two\(x, y\): too many"):
        call_key(two, key=lambda x: x)
    with pytest.raises(ConfigurationError, match=r"bare\(a, b\): .*'b'"):
        call_key(bare, key=lambda a: a)

    async def made(x: Any) -> str:
        return "k"

    with pytest.raises(ConfigurationError, match="must be a plain function"):
        call_key(one, key=made)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"or a template .*, got int"):
        call_key(one, key=1)  # type: ignore[arg-type]


def test_what_a_function_makes_is_a_legal_key_or_an_error() -> None:
    key = call_key(one, key=lambda x: x)
    with pytest.raises(UnkeyableArgumentError, match=r"one\(\): .* must return a str, got int"):
        key(1)
    for wrong in ("", "x" * 1025, "\ud800"):
        with pytest.raises(InvalidKeyError):
            key(wrong)

    class Text(str):
        __slots__ = ()

    assert type(key(Text("k"))) is str
    assert key("é" * 512) == "é" * 512
