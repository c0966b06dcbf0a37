"""`CacheManager.from_config` with a mapping: values have types already, none is converted."""

from __future__ import annotations

import inspect
import re
from datetime import timedelta
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest

from symphra_cache import CacheManager, ConfigurationError, InvalidTTLError
from symphra_cache.serializers import JSONSerializer
from symphra_cache.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def refusal(config: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        CacheManager.from_config(config)
    return str(caught.value)


def says(message: str, wanted: str) -> bool:
    """Tell whether a message holds these words, where " .. " leaves some out."""
    return bool(re.search(".*".join(map(re.escape, wanted.split(" .. "))), message, re.DOTALL))


# --- what works -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"backend": "memory"}, "MemoryBackend(max_size=10000)"),
        ({"backend": "memory", "options": {}}, "MemoryBackend(max_size=10000)"),
        ({"backend": "memory", "options": {"max_size": 5}}, "MemoryBackend(max_size=5)"),
        ({"backend": "memory", "options": {"max_size": None}}, "MemoryBackend(max_size=None)"),
        (MappingProxyType({"url": "memory://?max_size=5"}), "MemoryBackend(max_size=5)"),
        ({"url": "null://"}, "NullBackend()"),
    ],
)
def test_a_mapping_makes_its_backend(config: Mapping[str, Any], expected: str) -> None:
    assert repr(CacheManager.from_config(config).backend) == expected


@pytest.mark.parametrize("where", [{"backend": "memory"}, {"url": "memory://"}])
def test_options_of_the_manager_are_keys(where: dict[str, Any]) -> None:
    cache = CacheManager.from_config(
        {**where, "namespace": "n", "name": "web", "default_ttl": 60, "jitter": 0.1}
    )
    cache.set("key", 1)
    assert "'web'" in repr(cache)
    assert "namespace='n'" in repr(cache)
    assert 50 < cache.ttl("key") < 70


@pytest.mark.parametrize("name", list(inspect.signature(CacheManager).parameters)[1:])
def test_every_option_of_the_constructor_is_a_key(name: str) -> None:
    default = inspect.signature(CacheManager).parameters[name].default
    CacheManager.from_config({"backend": "null", name: default})


@pytest.mark.parametrize(
    ("ttl", "left"), [(5, 5), (0.5, 0.5), (timedelta(minutes=1), 60), (None, None)]
)
def test_default_ttl_takes_what_the_constructor_takes(ttl: Any, left: float | None) -> None:
    config = {"backend": "memory", "options": {"clock": FakeClock()}, "default_ttl": ttl}
    cache = CacheManager.from_config(config)
    cache.set("key", 1)
    assert cache.ttl("key") == left


def test_options_may_hold_objects(tmp_path: Path) -> None:
    path = PurePosixPath(tmp_path, "cache.db")
    options = {"db_path": path, "serializer": JSONSerializer(), "busy_timeout": 2}
    with CacheManager.from_config({"backend": "file", "options": options}) as cache:
        cache.set("key", [1, 2])
        assert cache.get("key") == [1, 2]
    assert tmp_path.joinpath("cache.db").exists()


def test_the_mapping_stays_as_it_is() -> None:
    config = {"backend": "memory", "options": {"max_size": 5}, "namespace": "n"}
    CacheManager.from_config(config)
    assert config == {"backend": "memory", "options": {"max_size": 5}, "namespace": "n"}


# --- refusals -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_size": True}, "options.max_size must be an int or None, got bool"),
        ({"max_size": "5"}, "options.max_size must be an int or None, got str"),
        ({"max_size": 5.0}, "options.max_size must be an int or None, got float"),
        ({"max_size": [5]}, "options.max_size must be an int or None, got list"),
        ({"max_size": 0}, "max_size"),
        ({"isolation": "shred"}, "options.isolation must be 'copy' or 'shared', got 'shred'"),
        ({"isolation": None}, "options.isolation must be 'copy' or 'shared', got None"),
        ({"isolation": True}, "options.isolation must be 'copy' or 'shared', got bool"),
        ({"clock": 5}, "clock must have .. got int"),
        (
            {"max_sise": 5},
            "option 'max_sise' of backend 'memory' is unknown; did you mean 'max_size'",
        ),
        ({"MAX_SIZE": 5}, "'MAX_SIZE' .. did you mean 'max_size'?"),
        ({"colour": 5}, "'colour' .. is unknown; valid: 'max_size', "),
        ({"namespace": "n"}, "'namespace' .. did you mean the key 'namespace' beside 'options'?"),
        ({5: 5}, "names of options must be str, got int"),
    ],
)
def test_a_wrong_option_of_the_backend(options: Any, message: str) -> None:
    assert says(refusal({"backend": "memory", "options": options}), message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "options.db_path is missing; backend 'file' can't do without it"),
        ({"db_path": 5}, "options.db_path must be a str or a path, got int"),
        ({"db_path": b"x"}, "options.db_path must be a str or a path, got bytes"),
        ({"db_path": ""}, "db_path must be the path of a file"),
        ({"db_path": "x", "busy_timeout": True}, "options.busy_timeout must be a number, got bool"),
        ({"db_path": "x", "busy_timeout": "5"}, "options.busy_timeout must be a number, got str"),
        ({"db_path": "x", "busy_timeout": None}, "options.busy_timeout must be a number, got None"),
        ({"db_path": "x", "serializer": "json"}, "serializer must be .. str"),
        ({"path": "x"}, "'path' of backend 'file' is unknown; did you mean 'db_path'?"),
    ],
)
def test_a_wrong_option_of_the_file_backend(options: Any, message: str) -> None:
    assert says(refusal({"backend": "file", "options": options}), message)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "key 'backend' or 'url' is missing"),
        ({"namespace": "n"}, "key 'backend' or 'url' is missing"),
        ({"options": {}}, "key 'backend' or 'url' is missing"),
        ({"backend": "memory", "url": "memory://"}, "'backend' must not stand beside 'url'"),
        ({"backend": None, "url": "memory://"}, "'backend' must not stand beside 'url'"),
        ({"options": {}, "url": "memory://"}, "'options' must not stand beside 'url'"),
        ({"backand": "memory"}, "key 'backand' is unknown; did you mean 'backend'?"),
        ({"backend": "memory", "option": {}}, "key 'option' is unknown; did you mean 'options'?"),
        ({"backend": "memory", "Namespace": "n"}, "'Namespace' .. did you mean 'namespace'?"),
        ({"backend": "memory", "max_size": 5}, "key 'max_size' .. 'max_size' in 'options'?"),
        ({"backend": "memory", "colour": 5}, "'colour' is unknown; valid: 'backend', 'options', "),
        ({"backend": "memory", 5: 5}, "keys must be str, got int"),
        ({"backend": "memry"}, "backend 'memry' is unknown; did you mean 'memory'?"),
        ({"backend": "MEMORY"}, "backend 'MEMORY' is unknown; did you mean 'memory'?"),
        ({"backend": "memory://"}, "backend must be the name of a backend, got a URL"),
        ({"backend": None}, "key 'backend' must be the name of a backend, got NoneType"),
        ({"backend": "memory", "options": None}, "key 'options' must be a mapping, got NoneType"),
        ({"backend": "memory", "options": [1]}, "key 'options' must be a mapping, got list"),
        ({"url": 5}, "key 'url': url must be a str such as 'memory://', got int"),
        ({"url": "memory"}, "key 'url': url must start with 'scheme://'"),
        ({"url": "memry://"}, "key 'url': scheme 'memry' is unknown; did you mean 'memory'?"),
        (
            {"url": "memory://?max_size=x"},
            "key 'url': option 'max_size' of memory:// must be an int",
        ),
        ({"url": "memory://?name=x"}, "key 'url': .. did you mean the key 'name' beside 'url'?"),
        ({"backend": "memory", "namespace": 5}, "namespace must match .. got int"),
        ({"backend": "memory", "jitter": "0.1"}, "jitter must be a number .. got str"),
        ({"backend": "memory", "jitter": True}, "jitter must be a number .. got bool"),
        ({"backend": "memory", "name": 5}, "name must be a non-empty str or None, got int"),
        (None, "config must be a mapping or the path of a file, got NoneType"),
        ([("backend", "memory")], "config must be a mapping or the path of a file, got list"),
        (b"cache.toml", "config must be a mapping or the path of a file, got bytes"),
        ("memory://", "got a URL; use CacheManager.from_url"),
    ],
)
def test_a_wrong_configuration(config: Any, message: str) -> None:
    assert says(refusal(config), message)


@pytest.mark.parametrize("ttl", ["60", True, float("nan")])
def test_a_wrong_default_ttl_is_an_invalid_ttl(ttl: Any) -> None:
    with pytest.raises(InvalidTTLError, match="ttl must be"):
        CacheManager.from_config({"backend": "memory", "default_ttl": ttl})
