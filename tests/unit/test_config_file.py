"""`CacheManager.from_config` with a file: TOML, JSON, YAML, and what is wrong with some."""

from __future__ import annotations

import json
import re
import sys
import traceback
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from symphra_cache import CacheManager, ConfigurationError

TOML = """
backend = "memory"
namespace = "n"
default_ttl = 60
[options]
max_size = 5
isolation = "shared"
"""
YAML = """
backend: memory
namespace: n
default_ttl: 60
options: {max_size: 5, isolation: shared}
"""
JSON = """
{"backend": "memory", "namespace": "n", "default_ttl": 60,
 "options": {"max_size": 5, "isolation": "shared"}}
"""
# Without PyYAML, an optional dependency, only its absence can be tested.
HAS_YAML = find_spec("yaml") is not None
FILES = [("cache.toml", TOML), ("cache.json", JSON), ("CACHE.TOML", TOML)]
FILES += [("cache.yaml", YAML), ("cache.yml", YAML)] * HAS_YAML


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def written(name: str, content: str | bytes) -> str:
    Path(name).write_bytes(content.encode() if isinstance(content, str) else content)
    return name


def error(name: Any) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        CacheManager.from_config(name)
    return caught.value


def says(message: str, wanted: str) -> bool:
    """Tell whether a message holds these words, where " .. " leaves some out."""
    return bool(re.search(".*".join(map(re.escape, wanted.split(" .. "))), message, re.DOTALL))


# --- what works -----------------------------------------------------------------------


@pytest.mark.parametrize(("name", "content"), FILES)
@pytest.mark.parametrize("as_given", [str, Path])
def test_a_file_makes_the_manager_that_it_describes(
    name: str, content: str, as_given: type
) -> None:
    cache = CacheManager.from_config(as_given(written(name, content)))
    cache.set("key", 1)
    assert repr(cache) == "CacheManager(MemoryBackend(max_size=5), namespace='n')"
    assert 59 < cache.ttl("key") <= 60


@pytest.mark.parametrize("name", ["cache.toml", "cache.json"])
def test_a_byte_order_mark_is_no_part_of_the_file(name: str) -> None:
    content = dict(FILES)[name]
    written(name, b"\xef\xbb\xbf" + content.encode())
    assert "max_size=5" in repr(CacheManager.from_config(name))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("app.toml", '[other]\nx = 1\n[symphra_cache]\nurl = "memory://?max_size=5"\n'),
        ("pyproject.toml", '[tool.x]\n[tool.symphra_cache]\nurl = "memory://?max_size=5"\n'),
        ("app.json", '{"other": 1, "symphra_cache": {"url": "memory://?max_size=5"}}'),
        *[("app.yaml", "other: 1\nsymphra_cache:\n  url: memory://?max_size=5\n")] * HAS_YAML,
    ],
)
def test_a_file_shared_with_others_has_a_table_of_ours(name: str, content: str) -> None:
    assert "max_size=5" in repr(CacheManager.from_config(written(name, content)))


def test_a_relative_path_in_a_file_is_relative_to_the_working_directory() -> None:
    Path("conf").mkdir()
    written("conf/cache.json", '{"backend": "file", "options": {"db_path": "data/x.db"}}')
    with CacheManager.from_config("conf/cache.json") as cache:
        cache.set("key", 1)
    assert Path("data/x.db").exists()


# --- refusals -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.toml",
            "backend = 'memory'\nmax_sise = 5",
            "a.toml: key 'max_sise' is unknown; did you mean 'max_size' in",
        ),
        (
            "a.toml",
            "backend = 'memory'\n[options]\nmax_size = true",
            "a.toml: options.max_size must be an int or None, got bool",
        ),
        (
            "a.json",
            '{"backend": "memory", "options": {"max_sise": 5}}',
            "a.json: option 'max_sise' .. 'max_size'",
        ),
        (
            "a.json",
            '{"backend": "memory", "options": {"max_size": "5"}}',
            "a.json: options.max_size must be .. got str",
        ),
        (
            "a.json",
            '{"backend": "memry"}',
            "a.json: backend 'memry' is unknown; did you mean 'memory'?",
        ),
        (
            "a.json",
            '{"url": "memory://?max_size=x"}',
            "a.json: key 'url': option 'max_size' .. got 'x'",
        ),
        ("a.json", '{"backend": "file"}', "a.json: options.db_path is missing"),
        ("a.toml", "", "a.toml: key 'backend' or 'url' is missing"),
        ("a.json", "[1]", "'a.json': the top level must be a table, got list"),
        ("a.json", "null", "'a.json': the top level must be a table, got nothing"),
        ("a.toml", "symphra_cache = 5", "'a.toml': symphra_cache must be a table, got int"),
        ("a.toml", "[tool]\nsymphra_cache = 5", "tool.symphra_cache must be a table, got int"),
        ("a.toml", "[symphra_cache]\n[tool.symphra_cache]", "both [symphra_cache] and [tool"),
        ("a.json", '{"tool": {"symphra_cache": {}}}', "key 'tool' is unknown"),
        ("a.ini", "", "must end in .toml, .json, .yaml, .yml, got 'a.ini'"),
        ("memory", "", "must end in .. got 'memory'"),
    ],
)
def test_a_wrong_content(name: str, content: str, message: str) -> None:
    assert says(str(error(written(name, content))), message)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.toml", "backend = !", "'a.toml' is no valid TOML: .. line 1"),
        ("a.toml", "backend = 1\nbackend = 2", "'a.toml' is no valid TOML"),
        ("a.json", "{", "'a.json' is no valid JSON: .. line 1"),
        ("a.json", "", "'a.json' is no valid JSON"),
        ("a.json", "[" * 100_000, "'a.json' is no valid JSON"),
        ("a.json", b"\xff\xfe", "'a.json' can't be read: .. utf-8"),
    ],
)
def test_a_broken_file_chains_its_cause(name: str, content: str | bytes, message: str) -> None:
    caught = error(written(name, content))
    assert says(str(caught), message)
    assert isinstance(caught.__cause__, (ValueError, RecursionError))


def test_a_missing_file() -> None:
    caught = error("nowhere.toml")
    assert "'nowhere.toml' can't be read: No such file or directory" in str(caught)
    assert isinstance(caught.__cause__, FileNotFoundError)


def test_a_folder_is_no_file() -> None:
    Path("a.toml").mkdir()
    assert isinstance(error("a.toml").__cause__, OSError)


def test_nul_in_a_path() -> None:
    assert isinstance(error("a\0.toml").__cause__, ValueError)


@pytest.mark.parametrize("name", ["a.yaml", "a.yml"])
def test_yaml_without_pyyaml(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    caught = error(written(name, YAML))
    assert "needs PyYAML; pip install 'symphra-cache[yaml]'" in str(caught)
    assert isinstance(caught.__cause__, ImportError)


def test_a_broken_file_shows_no_password() -> None:
    written("a.json", json.dumps({"url": "memory://u:hunter2@host"})[:-1])
    assert "hunter2" not in "".join(traceback.format_exception(error("a.json")))
    written("a.toml", 'password = "hunter2')
    assert "hunter2" not in "".join(traceback.format_exception(error("a.toml")))


if HAS_YAML:

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("backend: [", "'a.yaml' is no valid YAML: .. line 1"),
            ("a: b: c", "'a.yaml' is no valid YAML: mapping values are not allowed here"),
            ("", "the top level must be a table, got nothing"),
            ("- 1", "the top level must be a table, got list"),
            ("symphra_cache:", "symphra_cache must be a table, got nothing"),
            ("backend: memory\noptions:", "key 'options' must be a mapping, got NoneType"),
            ("backend: memory\noptions: {max_size: '5'}", "options.max_size must be .. got str"),
            ("backend: memory\noptions: {max_size: yes}", "options.max_size must be .. got bool"),
            ("backend: memory\n5: 5", "a.yaml: keys must be str, got int"),
        ],
    )
    def test_a_wrong_yaml_file(content: str, message: str) -> None:
        assert says(str(error(written("a.yaml", content))), message)

    def test_yaml_makes_no_objects() -> None:
        caught = error(written("a.yaml", "backend: !!python/object/apply:os.getcwd []"))
        assert "is no valid YAML" in str(caught)
        assert caught.__cause__ is not None

    @pytest.mark.parametrize(
        "password", ["*hunter2", "!hunter2", "%hunter2", "hunter2: x", "'hunter2"]
    )
    def test_a_broken_yaml_file_shows_no_password(password: str) -> None:
        caught = error(written("a.yaml", f"backend: memory\noptions:\n  password: {password}\n"))
        assert "is no valid YAML" in str(caught)
        assert "hunter2" not in "".join(traceback.format_exception(caught))
