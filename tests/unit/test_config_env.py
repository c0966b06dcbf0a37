"""`CacheManager.from_env`: text of the environment, converted by each option's own type."""

from __future__ import annotations

import inspect
import os
import re
from typing import TYPE_CHECKING, Any

import pytest

from symphra_cache import CacheManager, ConfigurationError, InvalidTTLError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PREFIX = "SYMPHRA_CACHE_"


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set these variables under the prefix, and no others."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)

    def put(**variables: str) -> None:
        for name, text in variables.items():
            monkeypatch.setenv(PREFIX + name, text)

    return put


def refusal(*prefix: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        CacheManager.from_env(*prefix)
    return str(caught.value)


def says(message: str, wanted: str) -> bool:
    """Tell whether a message holds these words, where " .. " leaves some out."""
    return bool(re.search(".*".join(map(re.escape, wanted.split(" .. "))), message, re.DOTALL))


# --- what works -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"BACKEND": "memory"}, "MemoryBackend(max_size=10000)"),
        ({"BACKEND": "memory", "OPTIONS__MAX_SIZE": "5"}, "MemoryBackend(max_size=5)"),
        ({"BACKEND": "memory", "OPTIONS__MAX_SIZE": "None"}, "MemoryBackend(max_size=None)"),
        ({"URL": "memory://?max_size=5"}, "MemoryBackend(max_size=5)"),
        ({"URL": "null://"}, "NullBackend()"),
    ],
)
def test_variables_make_a_backend(
    env: Callable[..., None], variables: dict[str, str], expected: str
) -> None:
    env(**variables)
    assert repr(CacheManager.from_env().backend) == expected


@pytest.mark.parametrize("where", [{"BACKEND": "memory"}, {"URL": "memory://"}])
def test_options_of_the_manager_are_converted(
    env: Callable[..., None], where: dict[str, str]
) -> None:
    env(**where, NAMESPACE="007", NAME="none", DEFAULT_TTL="60", JITTER=".1")
    cache = CacheManager.from_env()
    cache.set("key", 1)
    assert "'none'" in repr(cache)
    assert "namespace='007'" in repr(cache)
    assert 50 < cache.ttl("key") < 70


@pytest.mark.parametrize(
    ("text", "left"), [("none", None), ("", None), ("NULL", None), ("1e2", 100), ("+2.5", 2.5)]
)
def test_default_ttl_is_a_number_or_none(
    env: Callable[..., None], text: str, left: float | None
) -> None:
    env(BACKEND="memory", DEFAULT_TTL=text)
    cache = CacheManager.from_env()
    cache.set("key", 1)
    assert cache.ttl("key") == (left and pytest.approx(left, abs=1))


@pytest.mark.parametrize("name", list(inspect.signature(CacheManager).parameters)[1:])
def test_every_option_of_the_constructor_has_a_variable(
    env: Callable[..., None], name: str
) -> None:
    default = inspect.signature(CacheManager).parameters[name].default
    env(BACKEND="null", **{name.upper(): "text" if default is None else str(default)})
    if name == "default_ttl":
        env(DEFAULT_TTL="none")
    CacheManager.from_env()


def test_a_file_backend(env: Callable[..., None], tmp_path: Path) -> None:
    env(BACKEND="file", OPTIONS__DB_PATH=f"{tmp_path}/x.db", OPTIONS__DURABILITY="full")
    with CacheManager.from_env() as cache:
        cache.set("key", 1)
    assert (tmp_path / "x.db").exists()


def test_another_prefix(env: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    env(BACKEND="nonsense", COLOUR="blue")
    monkeypatch.setenv("MY_APP_BACKEND", "memory")
    monkeypatch.setenv("MY_APP_OPTIONS__MAX_SIZE", "7")
    assert repr(CacheManager.from_env("MY_APP_").backend) == "MemoryBackend(max_size=7)"


# --- refusals -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, "~BACKEND or ~URL is missing"),
        ({"NAMESPACE": "n"}, "~BACKEND or ~URL is missing"),
        ({"OPTIONS__MAX_SIZE": "5"}, "~BACKEND or ~URL is missing"),
        ({"BACKEND": "memory", "URL": "memory://"}, "~BACKEND must not stand beside ~URL"),
        (
            {"URL": "memory://", "OPTIONS__MAX_SIZE": "5"},
            "~OPTIONS__MAX_SIZE must not stand beside ~URL",
        ),
        ({"BACKND": "memory"}, "~BACKND is unknown; did you mean ~BACKEND?"),
        ({"BACKEND": "memory", "NAMESPCE": "n"}, "~NAMESPCE is unknown; did you mean ~NAMESPACE?"),
        (
            {"BACKEND": "memory", "namespace": "n"},
            "~namespace is unknown; did you mean ~NAMESPACE?",
        ),
        (
            {"BACKEND": "memory", "MAX_SIZE": "5"},
            "~MAX_SIZE is unknown; did you mean ~OPTIONS__MAX_SIZE?",
        ),
        ({"BACKEND": "memory", "OPTIONS_MAX_SIZE": "5"}, "did you mean ~OPTIONS__MAX_SIZE?"),
        (
            {"BACKEND": "memory", "OPTIONS__MAX_SISE": "5"},
            "~OPTIONS__MAX_SISE is unknown; did you mean ~OPTIONS__MAX_SIZE?",
        ),
        (
            {"BACKEND": "memory", "OPTIONS__max_size": "5"},
            "~OPTIONS__max_size is unknown; did you mean ~OPTIONS__MAX_SIZE?",
        ),
        (
            {"BACKEND": "memory", "ZZ": "5"},
            "~ZZ is unknown; valid: ~URL, ~BACKEND .. OPTIONS__MAX_SIZE",
        ),
        ({"URL": "memory://", "ZZ": "5"}, "~ZZ is unknown; valid: ~URL, "),
        ({"BACKEND": "memry"}, "~BACKEND: backend 'memry' is unknown; did you mean 'memory'?"),
        ({"BACKEND": ""}, "~BACKEND: backend '' is unknown; valid: 'file'"),
        ({"URL": ""}, "~URL: url must start with 'scheme://'"),
        (
            {"URL": "memory://?max_size=x"},
            "~URL: option 'max_size' of memory:// must be an int or None, got 'x'",
        ),
        ({"URL": "memory://?name=x"}, "~URL: .. did you mean environment variable ~NAME?"),
        ({"URL": "memry://"}, "~URL: scheme 'memry' is unknown; did you mean 'memory'?"),
        ({"BACKEND": "file"}, "variable ~OPTIONS__DB_PATH is missing; backend 'file'"),
        (
            {"BACKEND": "memory", "OPTIONS__MAX_SIZE": "x"},
            "~OPTIONS__MAX_SIZE must be an int or None, got 'x'",
        ),
        (
            {"BACKEND": "memory", "OPTIONS__MAX_SIZE": "5 "},
            "~OPTIONS__MAX_SIZE must be an int or None, got '5 '",
        ),
        (
            {"BACKEND": "memory", "OPTIONS__ISOLATION": "Copy"},
            "~OPTIONS__ISOLATION must be 'copy' or 'shared', got 'Copy'",
        ),
        (
            {"BACKEND": "memory", "DEFAULT_TTL": "soon"},
            "~DEFAULT_TTL must be a number or None, got 'soon'",
        ),
        (
            {"BACKEND": "memory", "DEFAULT_TTL": "nan"},
            "~DEFAULT_TTL must be a number or None, got 'nan'",
        ),
        ({"BACKEND": "memory", "JITTER": "none"}, "~JITTER must be a number, got 'none'"),
        ({"BACKEND": "memory", "JITTER": "1.5"}, "jitter must be a number from 0.0"),
        ({"BACKEND": "memory", "NAMESPACE": ""}, "namespace must match"),
        ({"BACKEND": "memory", "NAME": ""}, "name must be a non-empty str"),
    ],
)
def test_wrong_variables(env: Callable[..., None], variables: dict[str, str], message: str) -> None:
    env(**variables)
    assert says(refusal(), message.replace("~", PREFIX))


def test_a_ttl_out_of_range_is_the_constructors_business(env: Callable[..., None]) -> None:
    env(BACKEND="memory", DEFAULT_TTL="1e300")
    with pytest.raises(InvalidTTLError, match="at most 100 years"):
        CacheManager.from_env()


@pytest.mark.parametrize(
    ("prefix", "got"), [("", "an empty str"), (None, "NoneType"), (b"A", "bytes")]
)
def test_a_wrong_prefix(prefix: Any, got: str) -> None:
    assert f"prefix must be a non-empty str, got {got}" in refusal(prefix)
