"""`CacheManager.from_url`: what URLs make, and how wrong ones are refused."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from symphra_cache import CacheManager, ConfigurationError, InvalidTTLError
from symphra_cache.backends import FileBackend, MemoryBackend, NullBackend

if TYPE_CHECKING:
    from pathlib import Path


def refusal(url: Any, **options: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        CacheManager.from_url(url, **options)
    assert isinstance(caught.value, ValueError)
    return str(caught.value)


def says(message: str, wanted: str) -> bool:
    """Tell whether a message holds these words, where " .. " leaves some out."""
    return bool(re.search(".*".join(map(re.escape, wanted.split(" .. "))), message, re.DOTALL))


# --- what works -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("memory://", "MemoryBackend(max_size=10000)"),
        ("memory://?", "MemoryBackend(max_size=10000)"),
        ("memory://?max_size=1000", "MemoryBackend(max_size=1000)"),
        ("memory://?max_size=%31&", "MemoryBackend(max_size=1)"),
        ("memory://?max_size=none", "MemoryBackend(max_size=None)"),
        ("memory://?isolation=shared&max_size=NULL", "MemoryBackend(max_size=None)"),
        ("MEMORY://?max_size=", "MemoryBackend(max_size=None)"),
        ("null://", "NullBackend()"),
    ],
)
def test_a_url_makes_its_backend(url: str, expected: str) -> None:
    assert repr(CacheManager.from_url(url).backend) == expected


def test_backends_are_of_their_classes() -> None:
    assert isinstance(CacheManager.from_url("memory://").backend, MemoryBackend)
    assert isinstance(CacheManager.from_url("null://").backend, NullBackend)


def test_an_option_of_the_query_takes_effect() -> None:
    with CacheManager.from_url("memory://?max_size=1&isolation=shared") as cache:
        value = object()
        cache.set("first", 1)
        cache.set("second", value)
        assert cache.get("first") is None
        assert cache.get("second") is value


def test_options_of_the_manager_are_arguments() -> None:
    cache = CacheManager.from_url(
        "memory://", namespace="sessions", name="web", default_ttl=timedelta(seconds=60), jitter=0.1
    )
    cache.set("key", 1)
    assert "namespace='sessions'" in repr(cache)
    assert "'web'" in repr(cache)
    assert 50 < cache.ttl("key") < 70


def test_a_subclass_makes_itself() -> None:
    class Mine(CacheManager):
        pass

    assert type(Mine.from_url("null://")) is Mine


def test_a_file_url_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a b?ü%.db"
    encoded = str(path).replace("%", "%25").replace(" ", "%20").replace("?", "%3F")
    with CacheManager.from_url(f"file://{encoded}?durability=full&busy_timeout=2") as cache:
        cache.set("key", "value")
    assert path.exists()
    with CacheManager(FileBackend(path)) as cache:
        assert cache.get("key") == "value"


def test_a_file_name_may_hold_bytes_that_are_no_utf8(tmp_path: Path) -> None:
    backend = CacheManager.from_url(f"file://{tmp_path}/%FF.db").backend
    assert repr(f"{tmp_path.resolve()}/\udcff.db") in repr(backend)


# --- refusals: options ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            "memory://?max_sise=5",
            "option 'max_sise' of backend 'memory' is unknown; did you mean 'max_size'?",
        ),
        (
            "memory://?MAX_SIZE=5",
            "option 'MAX_SIZE' of backend 'memory' is unknown; did you mean 'max_size'?",
        ),
        ("file:///tmp/x.db?durable=full", "'durable' .. did you mean 'durability'"),
        (
            "memory://?colour=5",
            "option 'colour' .. is unknown; valid: .. 'max_size', .. 'isolation'",
        ),
        ("null://?max_size=5", "option 'max_size' of backend 'null' is unknown; valid: none"),
        (
            "memory://?namespace=x",
            "'namespace' .. did you mean namespace=…, an argument of from_url",
        ),
        ("memory://?max_size=1&max_size=1", "option 'max_size' of memory:// is given twice"),
        (
            "memory://?max_size=many",
            "option 'max_size' of memory:// must be an int or None, got 'many'",
        ),
        ("memory://?max_size=1_000", "must be an int or None, got '1_000'"),
        ("memory://?max_size=+5", "must be an int or None, got ' 5'"),
        ("memory://?max_size=1.0", "must be an int or None, got '1.0'"),
        ("memory://?max_size=true", "must be an int or None, got 'true'"),
        ("memory://?max_size=٣", "must be an int or None, got '٣'"),
        ("memory://?max_size=" + "9" * 5000, "must be an int or None, got a str of length 5000"),
        ("memory://?max_size=0", "max_size"),
        (
            "file:///tmp/x.db?busy_timeout=inf",
            "'busy_timeout' of file:// must be a number, got 'inf'",
        ),
        ("file:///tmp/x.db?busy_timeout=1e999", "'busy_timeout' of file:// must be a number"),
        (
            "file:///tmp/x.db?max_value_bytes=none",
            "'max_value_bytes' of file:// must be an int, got",
        ),
        (
            "memory://?isolation=shred",
            "'isolation' of memory:// must be 'copy' or 'shared', got 'shred'",
        ),
        ("memory://?isolation=", "'isolation' of memory:// must be 'copy' or 'shared', got ''"),
        ("memory://?clock=utc", "clock must have .. got str"),
        (
            "file:///tmp/x.db?db_path=y",
            "'db_path' of file:// is what the URL says before its query",
        ),
    ],
)
def test_a_wrong_option_is_named_with_the_nearest(url: str, message: str) -> None:
    assert says(refusal(url), message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"namespac": "x"},
            "option 'namespac' of the manager is unknown; did you mean 'namespace'?",
        ),
        ({"default": 5}, "option 'default' of the manager is unknown; did you mean 'default_ttl'?"),
        (
            {"ttl": 5},
            "option 'ttl' of the manager is unknown; valid: 'namespace', .. 'default_ttl'",
        ),
        ({"max_size": 5}, "'max_size' .. did you mean memory://?max_size=…, in the URL"),
        ({"backend": None}, "option 'backend' of the manager is unknown; valid: 'namespace'"),
        ({"namespace": "a/b"}, "namespace must match"),
        ({"namespace": None}, "namespace must match"),
        ({"jitter": True}, "jitter must be a number"),
        ({"name": ""}, "name must be a non-empty str or None"),
    ],
)
def test_a_wrong_option_of_the_manager(options: dict[str, Any], message: str) -> None:
    assert says(refusal("memory://", **options), message)


def test_a_wrong_default_ttl() -> None:
    with pytest.raises(InvalidTTLError, match="got bool"):
        CacheManager.from_url("memory://", default_ttl=True)


# --- refusals: the URL ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (None, "url must be a str such as 'memory://', got NoneType"),
        (b"memory://", "url must be a str such as 'memory://', got bytes"),
        ("", "url must start with 'scheme://'"),
        ("memory", "url must start with 'scheme://'; write memory://"),
        ("memory:?max_size=5", "url must start with 'scheme://'"),
        (" memory://", "url must start with 'scheme://'"),
        ("file:relative.db", "write file:///absolute/path.db, with three slashes"),
        ("file:/var/x.db", "write file:///absolute/path.db, with three slashes"),
        ("file://relative.db", "file:///var/cache/app.db, with three slashes"),
        ("file://host/x.db", "an absolute path and no host; .. three slashes"),
        ("file://", "file:// URL must hold an absolute path .. three slashes"),
        ("file:///", "file:// URL must hold an absolute path"),
        ("file:///a%00b.db", "db_path must be the path of a file"),
        ("memry://", "url scheme 'memry' is unknown; did you mean 'memory'?"),
        ("gopher://", "url scheme 'gopher' is unknown; valid: 'file', 'memory', 'null'"),
        ("memory://localhost", "memory:// URL must hold no host and no path"),
        ("memory:///", "memory:// URL must hold no host and no path"),
        ("memory://?max_size", "query must be made of name=value"),
        ("memory://?=5", "query must be made of name=value"),
        ("memory://?max_size=%FF", "query must be percent-encoded UTF-8"),
        ("memory://#top", "url must not hold a '#'; write it as %23"),
        ("memory://?max_size=5\n", "control characters such as a newline"),
    ],
)
def test_a_wrong_url(url: Any, message: str) -> None:
    assert says(refusal(url), message)


def test_nothing_is_made_of_a_refused_file_url(tmp_path: Path) -> None:
    refusal(f"file://{tmp_path}/deep/x.db?durability=ful")
    assert not list(tmp_path.iterdir())


def test_schemas_are_loaded_when_they_are_used() -> None:
    program = (
        "import sys; from symphra_cache import CacheManager; import symphra_cache.backends;"
        "print('symphra_cache.config' in sys.modules, 'inspect' in sys.modules);"
        "CacheManager.from_url('memory://'); print('sqlite3' in sys.modules)"
    )
    # Measured for coverage, a process loads both modules to write down what it ran.
    environment = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}
    arguments = [sys.executable, "-I", "-c", program]
    output = subprocess.check_output(arguments, env=environment, text=True)
    assert output.split() == ["False", "False", "False"]
