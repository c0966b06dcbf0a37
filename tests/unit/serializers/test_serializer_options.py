"""Options that all serializers share, and what importing them loads."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from symphra_cache.exceptions import ConfigurationError
from symphra_cache.serializers import (
    JSONSerializer,
    MessagePackSerializer,
    PickleSerializer,
    Serializer,
)

MAKERS = [MessagePackSerializer, JSONSerializer, lambda **kw: PickleSerializer("x" * 32, **kw)]
makers = pytest.mark.parametrize("make", MAKERS, ids=["msgpack", "json", "pickle"])


@makers
def test_the_options_are_kept_and_shown(make: object) -> None:
    found = make(compress="zlib", compress_over=0)
    assert (found.compress, found.compress_over) == ("zlib", 0)
    assert repr(found).endswith("Serializer(compress='zlib', compress_over=0)")
    assert (make().compress, make().compress_over) == (None, 1024)
    assert isinstance(found, Serializer)


@makers
@pytest.mark.parametrize("wrong", ["gzip", "", "ZLIB", True, 1, b"zlib", ["zlib"]])
def test_a_wrong_compression_is_refused(make: object, wrong: object) -> None:
    with pytest.raises(ConfigurationError, match=r"compress must be None, 'zlib' or 'zstd', not"):
        make(compress=wrong)


@makers
@pytest.mark.parametrize("wrong", [-1, 1.5, "1024", None, True])
def test_a_wrong_size_is_refused(make: object, wrong: object) -> None:
    with pytest.raises(ConfigurationError, match="compress_over must be a number of bytes") as e:
        make(compress_over=wrong)
    assert type(wrong).__name__ in str(e.value)


@makers
def test_zstd_without_its_library_names_the_extra(
    make: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(ConfigurationError, match=r"symphra-cache\[zstd\]"):
        make(compress="zstd")


LAZY = """
import sys
import symphra_cache.serializers
heavy = {"ormsgpack", "json", "pickle", "zlib", "hmac", "zstandard", "zoneinfo", "dataclasses",
         "logging", "decimal", "uuid", "inspect"}
print(sorted(heavy & set(sys.modules)))
symphra_cache.serializers.MessagePackSerializer()
print(sorted({"ormsgpack", "pickle", "json", "hmac", "zstandard", "zlib"} & set(sys.modules)))
"""


def test_importing_the_package_loads_nothing_heavy() -> None:
    # Not measured for coverage, which loads most of these itself.
    plain = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}
    done = subprocess.run(
        [sys.executable, "-c", LAZY], env=plain, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["[]", "['ormsgpack']"]
