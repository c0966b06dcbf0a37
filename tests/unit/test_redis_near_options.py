"""What a near cache may be made of, by hand and in a configuration, and what is refused."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
import redis
import redis.asyncio

from symphra_cache import CacheManager, ConfigurationError
from symphra_cache.backends import CircuitBreaker, NearCache, RedisBackend, register_backend

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

URL = "redis://localhost:6379/0"


def refusal(make: Callable[..., object], *arguments: Any, **options: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        make(*arguments, **options)
    return str(caught.value)


# --- by hand ------------------------------------------------------------------------------


def test_the_defaults() -> None:
    near = NearCache()
    assert (near.max_size, near.max_staleness) == (10_000, 30.0)
    assert repr(near) == "NearCache(max_size=10000, max_staleness=30.0)"
    assert NearCache(1, 2).max_staleness == 2.0
    assert type(NearCache(1, 2).max_staleness) is float


@pytest.mark.parametrize("size", [0, -1, True, False, 1.0, "10", None, float("inf")], ids=repr)
def test_a_wrong_size_is_refused(size: Any) -> None:
    message = refusal(NearCache, max_size=size)
    assert message.startswith("max_size must be a positive int, got ")
    assert "near_cache=None" in message


@pytest.mark.parametrize(
    "seconds", [0, -1, 0.0, True, "1", None, float("inf"), float("nan"), 1j], ids=repr
)
def test_a_wrong_staleness_is_refused(seconds: Any) -> None:
    message = refusal(NearCache, max_staleness=seconds)
    assert message.startswith("max_staleness must be seconds, finite and more than 0, got ")


@pytest.mark.parametrize("given", [True, 1000, {"max_size": 1}, "true", NearCache], ids=repr)
def test_what_is_no_near_cache_is_refused(given: Any) -> None:
    message = refusal(RedisBackend, URL, near_cache=given)
    assert message == (
        f"near_cache must be a NearCache or None, got {type(given).__name__}; "
        "write near_cache=NearCache()"
    )


def test_beside_a_client_of_ones_own_it_is_refused() -> None:
    client = redis.Redis()
    message = refusal(RedisBackend, client=client, near_cache=NearCache())
    assert message.startswith("near_cache needs connections of its own")
    assert "give url" in message
    client.close()

    async def also() -> None:
        async_client = redis.asyncio.Redis()
        assert refusal(RedisBackend, async_client=async_client, near_cache=NearCache()) == message
        await async_client.aclose()

    asyncio.run(also())


def test_it_goes_into_no_repr() -> None:
    backend = RedisBackend(URL, near_cache=NearCache())
    assert repr(backend) == "RedisBackend('localhost:6379/0')"


# --- in a configuration ---------------------------------------------------------------------

NEAR: dict[object, str | None] = {
    "max_size=5": "NearCache(max_size=5, max_staleness=30.0)",
    "max_size=5,max_staleness=1.5": "NearCache(max_size=5, max_staleness=1.5)",
    " max_staleness = 2 , max_size = 5 ": "NearCache(max_size=5, max_staleness=2.0)",
    "true": "NearCache(max_size=10000, max_staleness=30.0)",
    "ON": "NearCache(max_size=10000, max_staleness=30.0)",
    "false": None,
    "none": None,
    "": None,
}
VALUES: list[tuple[object, str | None]] = [
    ({"max_size": 5, "max_staleness": 2}, "NearCache(max_size=5, max_staleness=2.0)"),
    ({}, "NearCache(max_size=10000, max_staleness=30.0)"),
    (NearCache(7), "NearCache(max_size=7, max_staleness=30.0)"),
    (True, "NearCache(max_size=10000, max_staleness=30.0)"),
    (False, None),
    (None, None),
]


class Spy(RedisBackend):
    """Remembers what it was made of."""

    made: tuple[object, object] = (None, None)

    def __init__(
        self,
        url: str | None = None,
        *,
        near_cache: NearCache | None = None,
        breaker: CircuitBreaker | None = None,
    ) -> None:
        Spy.made = near_cache, breaker
        super().__init__((url or URL).replace("spy:", "redis:"), near_cache=near_cache)


@pytest.fixture(autouse=True)
def _spy() -> None:
    register_backend("spy", Spy)


def near() -> str | None:
    return None if Spy.made[0] is None else repr(Spy.made[0])


@pytest.mark.parametrize("text", NEAR, ids=repr)
def test_text_says_what_is_kept_near(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    CacheManager.from_url(f"spy://localhost?near_cache={text.replace(' ', '%20')}")
    assert near() == NEAR[text]
    monkeypatch.setenv("TRIAL_BACKEND", "spy")
    monkeypatch.setenv("TRIAL_OPTIONS__NEAR_CACHE", text)
    CacheManager.from_env("TRIAL_")
    assert near() == NEAR[text]


@pytest.mark.parametrize(("value", "wanted"), VALUES, ids=repr)
def test_a_mapping_says_what_is_kept_near(value: object, wanted: str | None) -> None:
    CacheManager.from_config({"backend": "spy", "options": {"near_cache": value}})
    assert near() == wanted


def test_files_say_what_is_kept_near(tmp_path: Path) -> None:
    toml = tmp_path / "cache.toml"
    toml.write_text('backend = "spy"\n[options.near_cache]\nmax_size = 5\nmax_staleness = 2\n')
    CacheManager.from_config(toml)
    assert near() == "NearCache(max_size=5, max_staleness=2.0)"
    as_json = tmp_path / "cache.json"
    as_json.write_text(json.dumps({"backend": "spy", "options": {"near_cache": True}}))
    CacheManager.from_config(as_json)
    assert near() == "NearCache(max_size=10000, max_staleness=30.0)"


def test_the_real_backend_takes_them() -> None:
    options = {"url": URL, "near_cache": {"max_size": 5}, "breaker": {"failures": 3}}
    for cache in (
        CacheManager.from_config({"backend": "redis", "options": options}),
        CacheManager.from_url(f"{URL}?near_cache=max_size=5&breaker=failures=3"),
        CacheManager.from_url("redis+cluster://localhost?near_cache=max_size=5"),
    ):
        assert isinstance(cache.backend, RedisBackend)
        found = cache.backend._store.near
        assert found is not None
        assert found.table._max_size == 5
    assert CacheManager.from_url(URL).backend._store.near is None  # type: ignore[attr-defined]


def test_a_circuit_breaker_is_said_likewise() -> None:
    CacheManager.from_url("spy://localhost?breaker=failures=3,reset_after=0.5")
    assert repr(Spy.made[1]) == "CircuitBreaker(failures=3, reset_after=0.5)"
    CacheManager.from_config({"backend": "spy", "options": {"breaker": {"failures": 7}}})
    assert repr(Spy.made[1]) == "CircuitBreaker(failures=7, reset_after=1.0)"
    CacheManager.from_config({"backend": "spy", "options": {"breaker": False}})
    assert Spy.made[1] is None


def test_a_factory_whose_annotations_are_objects_takes_them_too() -> None:
    given = []

    def factory(near_cache: Any = None) -> RedisBackend:
        given.append(near_cache)
        return RedisBackend(URL)

    factory.__annotations__["near_cache"] = NearCache | None
    register_backend("annotated", factory)
    CacheManager.from_url("annotated://?near_cache=max_size=3")
    assert repr(given) == "[NearCache(max_size=3, max_staleness=30.0)]"


WRONG: dict[str, tuple[object, str]] = {
    "a number": (
        5,
        "options.near_cache must be a mapping of 'max_size', 'max_staleness', true, false or "
        "None, got int",
    ),
    "text": (
        "big",
        "options.near_cache must be a mapping of 'max_size', 'max_staleness', true, false or "
        "None, got 'big'",
    ),
    "another name": (
        {"maxsize": 5},
        "'maxsize' in options.near_cache is unknown; did you mean 'max_size'?",
    ),
    "no name": ({1: 5}, "'1' in options.near_cache is unknown; valid: 'max_size', 'max_staleness'"),
    "another type": (
        {"max_size": "5"},
        "'max_size' in options.near_cache must be an int, got str",
    ),
    "a bool": ({"max_size": True}, "'max_size' in options.near_cache must be an int, got bool"),
    "out of range": (
        {"max_size": 0},
        "max_size must be a positive int, got 0; near_cache=None switches the near cache off",
    ),
    "another object": (
        CircuitBreaker(),
        "options.near_cache must be a mapping of 'max_size', 'max_staleness', true, false or "
        "None, got CircuitBreaker",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_values_are_refused(case: str) -> None:
    value, message = WRONG[case]
    config = {"backend": "redis", "options": {"near_cache": value}}
    assert refusal(CacheManager.from_config, config) == message


WRONG_TEXTS = {
    "5": "option 'near_cache' of redis:// must be max_size=…, true, false or None, got '5'",
    "max_size": (
        "option 'near_cache' of redis:// must be max_size=…, true, false or None, got 'max_size'"
    ),
    "size=5": "'size' in option 'near_cache' of redis:// is unknown; did you mean 'max_size'?",
    "max_size=many": ("'max_size' in option 'near_cache' of redis:// must be an int, got 'many'"),
    "max_size=5,max_staleness=": (
        "'max_staleness' in option 'near_cache' of redis:// must be a number, got ''"
    ),
}


@pytest.mark.parametrize("text", WRONG_TEXTS)
def test_wrong_texts_are_refused(text: str) -> None:
    assert refusal(CacheManager.from_url, f"{URL}?near_cache={text}") == WRONG_TEXTS[text]
