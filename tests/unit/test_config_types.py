"""The types of options: how text is converted and values are checked, by their annotations."""

from __future__ import annotations

import inspect
import os
import typing
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, Optional, Union

import pytest

from symphra_cache import CacheManager, ConfigurationError
from symphra_cache.backends import NullBackend, register_backend, registry


class Own(NullBackend):
    """A backend that tells what it was made of."""

    def __init__(self, **given: object) -> None:
        super().__init__()
        self.given = given


@pytest.fixture(autouse=True)
def _nothing_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})


def given(cache: CacheManager) -> dict[str, Any]:
    backend = cache.backend
    assert isinstance(backend, Own)
    return backend.given


def refusal(make: Any, argument: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        make(argument)
    return str(caught.value)


def taking(annotation: Any) -> None:
    """Register ``own``, whose only option has this annotation."""

    def factory(**options: object) -> Own:
        return Own(**options)

    parameter = inspect.Parameter("option", inspect.Parameter.KEYWORD_ONLY, annotation=annotation)
    factory.__signature__ = inspect.Signature([parameter])  # type: ignore[attr-defined]
    register_backend("own", factory)


Seconds = NewType("Seconds", float)


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        ("int", "-12", -12),
        (int, "+012", 12),
        ("float", "12", 12.0),
        (float, "-1.5e-3", -0.0015),
        ("int | float", "5", 5),
        ("bool", "TRUE", True),
        (bool, "0", False),
        ("bool", "off", False),
        ("bool | None", "", None),
        ("bool | int", "1", 1),
        ("str", "0123", "0123"),
        (str, "", ""),
        ("str | None", "none", "none"),
        ("str | int", "5", "5"),
        ("None | int", "null", None),
        (int | None, "none", None),
        (Optional[int], "5", 5),  # noqa: UP045
        ("Optional[int]", "none", None),
        ("typing.Union[int, None]", "5", 5),
        (Union[int, bool], "yes", True),  # noqa: UP007
        ("'int | None'", "5", 5),
        ("Annotated[int, Gt(0)]", "5", 5),
        (Annotated[int, "x"], "5", 5),
        (Seconds, "5", 5.0),
        (typing.ForwardRef("int"), "5", 5),
        ("Literal['a', 'b'] | None", "b", "b"),
        ("typing.Literal['a', None]", "none", None),
        (Literal[1, 2], "2", 2),
        ("Literal[True, 'auto']", "yes", True),
        ("Literal[True, 'auto']", "auto", "auto"),
        ("Path", "a/b", Path("a/b")),
        (Path, "none", Path("none")),
        ("os.PathLike[str]", "a", Path("a")),
        (os.PathLike[str], "a", Path("a")),
        ("str | os.PathLike[str]", "a", "a"),
        ("TTL", "5", 5.0),
        ("list[str]", "a", ["a"]),
        (list[str], "a, b", ["a", "b"]),
        ("Sequence[str | tuple[str, int]] | None", "h1:1,h2", ["h1:1", "h2"]),
        (typing.Sequence[str], "a,b", ["a", "b"]),
        ("Sequence[str] | None", "", None),
        # Not understood, so the text goes on as it came.
        ("Level", "5", "5"),
        ("Level | None", "none", None),
        ("int | Level", "x", "x"),
        ("list[int]", "1,2", "1,2"),
        (list[int], "1,2", "1,2"),
        (dict, "{}", "{}"),
        (Any, "5", "5"),
        ("Literal[Level.HIGH]", "x", "x"),
        ("this is no annotation", "5", "5"),
        ("lambda: int", "5", "5"),
        ("", "5", "5"),
        (5, "5", "5"),
        (inspect.Parameter.empty, "5", "5"),
    ],
)
def test_text_is_converted_by_the_type_of_its_option(
    annotation: Any, text: str, value: object
) -> None:
    taking(annotation)
    got = given(CacheManager.from_url(f"own://?option={text.replace('+', '%2B')}"))["option"]
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(
    ("annotation", "text", "expected"),
    [
        ("int", "1.0", "an int, got '1.0'"),
        ("int", "", "an int, got ''"),
        ("float", "1,5", "a number, got '1,5'"),
        ("int | float", "x", "a number, got 'x'"),
        ("bool", "2", "true or false, got '2'"),
        ("bool | int | None", "x", "an int, true or false or None, got 'x'"),
        ("Literal[1, 2]", "3", "1 or 2, got '3'"),
        ("Literal['a', 'b', None]", "c", "'a', 'b' or None, got 'c'"),
        ("None", "x", "None, got 'x'"),
        ("TTL", "x", "a number or None, got 'x'"),
    ],
)
def test_text_that_is_no_value_of_the_type(annotation: str, text: str, expected: str) -> None:
    taking(annotation)
    message = refusal(CacheManager.from_url, f"own://?option={text}")
    assert message == f"option 'option' of own:// must be {expected}"


@pytest.mark.parametrize(
    ("annotation", "value", "passed"),
    [
        ("float", 5, 5),
        ("float | None", None, None),
        ("Path", "a", Path("a")),
        ("str | Path", "a", "a"),
        ("Literal[1]", 1, 1),
        ("Level", "x", "x"),
        ("list[int]", [1], [1]),
        ("list[str]", ["1", "2"], ["1", "2"]),
        ("Sequence[str | tuple[str, int]] | None", [["h", 1], "h"], [["h", 1], "h"]),
        (inspect.Parameter.empty, {"a": 1}, {"a": 1}),
    ],
)
def test_values_with_types_are_passed_on(annotation: Any, value: object, passed: object) -> None:
    taking(annotation)
    config = {"backend": "own", "options": {"option": value}}
    assert given(CacheManager.from_config(config)) == {"option": passed}


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        ("int", True, "an int, got bool"),
        ("float", True, "a number, got bool"),
        ("float", "5", "a number, got str"),
        ("bool", 1, "true or false, got int"),
        ("str", 5, "a str, got int"),
        ("Path", 5, "a path, got int"),
        ("Literal[1]", True, "1, got bool"),
        ("TTL", "5", "a number, a timedelta or None, got str"),
        ("list[str]", "a,b", "a list of str, got str"),
        ("list[str] | None", 1, "a list of str or None, got int"),
        ("Sequence[str]", ["a", 1], "a list of str, got list"),
    ],
)
def test_values_of_a_wrong_type(annotation: str, value: object, expected: str) -> None:
    taking(annotation)
    message = refusal(CacheManager.from_config, {"backend": "own", "options": {"option": value}})
    assert message == f"options.option must be {expected}"
