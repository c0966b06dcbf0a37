"""The tree of errors: each is a `CacheError`, and the builtin that a caller would expect."""

from __future__ import annotations

import pickle

import pytest

import symphra_cache
from symphra_cache import CacheError

BUILTINS: dict[str, type[Exception]] = {
    "InvalidKeyError": ValueError,
    "InvalidTTLError": ValueError,
    "InvalidPatternError": ValueError,
    "SerializationError": TypeError,
    "ValueTooLargeError": ValueError,
    "NotAnIntegerError": TypeError,
    "CounterOverflowError": OverflowError,
    "ConfigurationError": ValueError,
    "ForeignFileError": symphra_cache.ConfigurationError,
    "CacheClosedError": RuntimeError,
    "BackendUnavailableError": ConnectionError,
}


@pytest.mark.parametrize("name", BUILTINS)
def test_an_error_is_a_cache_error_and_its_builtin(name: str) -> None:
    error = getattr(symphra_cache, name)
    assert issubclass(error, CacheError)
    assert issubclass(error, BUILTINS[name])
    assert name in symphra_cache.__all__


@pytest.mark.parametrize("name", BUILTINS)
def test_an_error_can_be_sent_to_another_process(name: str) -> None:
    error = pickle.loads(pickle.dumps(getattr(symphra_cache, name)("text")))
    assert type(error).__name__ == name
    assert str(error) == "text"


def test_a_cache_error_is_not_every_error() -> None:
    assert CacheError.__bases__ == (Exception,)


def test_a_bulk_error_names_the_keys_that_failed() -> None:
    assert symphra_cache.BackendUnavailableError("text").failed == []
    error = symphra_cache.BackendUnavailableError("text", failed=("a", "b"))
    assert error.failed == ["a", "b"]
    assert pickle.loads(pickle.dumps(error)).failed == ["a", "b"]
