"""`register_backend`: one's own factories, on the same schema as the built-in ones."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from symphra_cache import BackendUnavailableError, CacheManager, ConfigurationError
from symphra_cache.backends import (
    FileBackend,
    MemoryBackend,
    NullBackend,
    register_backend,
    registry,
)

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "hunter2"


class Own(NullBackend):
    """A backend that tells what it was made of."""

    def __init__(self, **given: object) -> None:
        super().__init__()
        self.given = given


@pytest.fixture(autouse=True)
def _nothing_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})


def server(
    url: str | None = None,
    *,
    host: str = "localhost",
    db: int = 0,
    password: str | None = None,
    ssl: bool = False,
    timeout: float | None = 1.0,
) -> Own:
    return Own(url=url, host=host, db=db, password=password, ssl=ssl, timeout=timeout)


def given(cache: CacheManager) -> dict[str, Any]:
    backend = cache.backend
    assert isinstance(backend, Own)
    return backend.given


def refusal(make: Any, *arguments: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        make(*arguments)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    return str(caught.value)


# --- registering ----------------------------------------------------------------------


def test_a_registered_backend_is_a_name_a_scheme_and_a_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    register_backend("my-server.v2+tls", server)
    wanted = {"url": None, "host": "h", "db": 2, "password": "0123", "ssl": True, "timeout": None}

    options = {"host": "h", "db": 2, "password": "0123", "ssl": True, "timeout": None}
    config = {"backend": "my-server.v2+tls", "options": options}
    assert given(CacheManager.from_config(config)) == wanted

    monkeypatch.setenv("OWN_BACKEND", "my-server.v2+tls")
    for name, text in {"HOST": "h", "DB": "2", "PASSWORD": "0123", "SSL": "on"}.items():
        monkeypatch.setenv(f"OWN_OPTIONS__{name}", text)
    monkeypatch.setenv("OWN_OPTIONS__TIMEOUT", "none")
    assert given(CacheManager.from_env("OWN_")) == wanted

    url = "my-server.v2+tls://h:1/x"
    query = "host=h&db=2&password=0123&ssl=yes&timeout=null"
    assert given(CacheManager.from_url(f"{url}?{query}")) == {**wanted, "url": url}


def test_options_not_given_keep_their_defaults() -> None:
    register_backend("own", server)
    assert given(CacheManager.from_config({"backend": "own"})) == server().given


def test_a_class_a_partial_and_an_object_are_factories() -> None:
    class Maker:
        def __call__(self, *, size: int) -> Own:
            return Own(size=size)

    register_backend("class", MemoryBackend)
    register_backend("partial", partial(server, host="fixed"))
    register_backend("object", Maker())
    assert "max_size=5" in repr(CacheManager.from_url("class://?max_size=5"))
    assert given(CacheManager.from_url("partial://?db=3"))["host"] == "fixed"
    assert given(CacheManager.from_url("object://?size=3")) == {"size": 3}


def test_the_same_factory_may_be_registered_again() -> None:
    register_backend("own", server)
    register_backend("own", server)
    register_backend("memory", MemoryBackend)
    assert given(CacheManager.from_url("own://"))["db"] == 0


@pytest.mark.parametrize(
    ("name", "owner"), [("own", "server"), ("memory", "MemoryBackend"), ("file", "FileBackend")]
)
def test_a_taken_name_stays_with_its_owner(name: str, owner: str) -> None:
    register_backend("own", server)
    message = refusal(register_backend, name, NullBackend)
    assert f"backend name {name!r} already belongs to {owner}; give NullBackend another" in message
    assert type(CacheManager.from_url("memory://").backend) is MemoryBackend
    assert given(CacheManager.from_url("own://"))["db"] == 0


@pytest.mark.parametrize("name", ["", "Own", "1own", "own:", "own_1", "own\n", " own", "öwn"])
def test_a_wrong_name(name: str) -> None:
    message = refusal(register_backend, name, server)
    assert f"must match [a-z][a-z0-9+.-]*, got {name!r}" in message


def test_a_wrong_type_of_name_or_factory() -> None:
    assert "got NoneType" in refusal(register_backend, None, server)
    message = refusal(register_backend, "own", Own())
    assert "factory of backend 'own' must be callable, got Own" in message


def test_threads_that_register_one_name_leave_one_owner() -> None:
    def register(number: int) -> bool:
        try:
            register_backend("own", lambda: Own(number=number))
        except ConfigurationError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        owners = list(pool.map(register, range(100)))
    assert owners.count(True) == 1
    assert given(CacheManager.from_url("own://")) == {"number": owners.index(True)}


def test_registering_loads_no_backend_and_no_schema() -> None:
    program = (
        "import sys; from symphra_cache.backends import register_backend;"
        "register_backend('own', print);"
        "print(*[m for m in sys.modules if m.startswith('symphra_cache.backends.')]);"
        "print('inspect' in sys.modules)"
    )
    # Measured for coverage, a process loads inspect to write down what it ran.
    environment = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}
    arguments = [sys.executable, "-I", "-c", program]
    output = subprocess.check_output(arguments, env=environment, text=True)
    assert output.split() == ["symphra_cache.backends.registry", "False"]


# --- URLs -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "passed"),
    [
        ("own://", "own://"),
        ("own://?db=1", "own://"),
        ("own://u:p%40ss@[::1]:6379/0?db=1", "own://u:p%40ss@[::1]:6379/0"),
        ("own:///run/my%20own.sock", "own:///run/my%20own.sock"),
        ("OWN://h1,h2/name", "OWN://h1,h2/name"),
    ],
)
def test_a_factory_with_a_url_gets_it_without_its_query(url: str, passed: str) -> None:
    register_backend("own", server)
    assert given(CacheManager.from_url(url))["url"] == passed


@pytest.mark.parametrize("rest", ["host", "/path", "host/path", f"u:{SECRET}@host"])
def test_a_factory_without_a_url_has_no_use_for_an_address(rest: str) -> None:
    register_backend("own", MemoryBackend)
    message = refusal(CacheManager.from_url, f"own://{rest}")
    assert "own:// URL must hold no host and no path" in message
    assert "own://?option=value" in message


def test_the_url_is_not_repeated_in_its_query() -> None:
    register_backend("own", server)
    message = refusal(CacheManager.from_url, "own://h?url=x")
    assert "option 'url' of own:// is what the URL says before its query" in message


@pytest.mark.parametrize(
    "url",
    [
        f"own://:{SECRET}@host/0?db=x",
        f"own://:{SECRET}@host/0?dbb=1",
        f"own://:{SECRET}@host/0?db",
        f"own://:{SECRET}@host/0#x",
        f"own://:{SECRET}@host/0\n",
        f"own://host?password=%FF{SECRET}",
        f"own://host?password=a&{SECRET}",
        f"own://host?password=a&{SECRET}=b",
        f"own://host?password=a&password={SECRET}",
        f"own://:a?{SECRET}@host",
        f"own://:a?{SECRET}=b@host",
        f"own://host?db=redis://:{SECRET}@host",
        f"own://host?db=u:{SECRET}@host",
        f"other://:{SECRET}@host",
        f":{SECRET}@host",
        f"own:{SECRET}@host",
    ],
)
def test_no_message_shows_the_password_of_a_url(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    register_backend("own", server)
    monkeypatch.setenv("OWN_URL", url)
    for make, argument in [
        (CacheManager.from_url, url),
        (CacheManager.from_config, {"url": url}),
        (CacheManager.from_config, {"backend": url}),
        (CacheManager.from_env, "OWN_"),
    ]:
        refusal(make, argument)


@pytest.mark.parametrize("name", ["password", "client_secret", "TOKEN", "api_key", "passphrase"])
def test_no_message_shows_the_value_of_a_secret_option(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def factory(**options: int) -> Own:
        return Own(**options)

    register_backend("own", factory)
    message = refusal(CacheManager.from_url, f"own://?{name}={SECRET}")
    assert f"option '{name}' of own:// must be an int, got a str of length 7" in message
    options = {name: SECRET}
    assert "must be an int, got str" in refusal(
        CacheManager.from_config, {"backend": "own", "options": options}
    )
    monkeypatch.setenv("OWN_BACKEND", "own")
    monkeypatch.setenv(f"OWN_OPTIONS__{name.upper()}", SECRET)
    assert "must be an int, got a str of length 7" in refusal(CacheManager.from_env, "OWN_")


def test_a_near_miss_after_a_secret_is_named() -> None:
    register_backend("own", server)
    message = refusal(CacheManager.from_url, f"own://h?password={SECRET}&timeuot=1")
    assert "option 'timeuot' of backend 'own' is unknown; did you mean 'timeout'?" in message


# --- factories ------------------------------------------------------------------------


def test_a_missing_option_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def factory(*, option: int) -> Own:
        return Own(option=option)

    register_backend("own", factory)
    assert "option 'option' of own:// is missing; backend 'own' can't do without it" in refusal(
        CacheManager.from_url, "own://"
    )
    assert "options.option is missing" in refusal(CacheManager.from_config, {"backend": "own"})
    monkeypatch.setenv("OWN_BACKEND", "own")
    assert "variable OWN_OPTIONS__OPTION is missing" in refusal(CacheManager.from_env, "OWN_")


def test_a_factory_may_take_any_option(monkeypatch: pytest.MonkeyPatch) -> None:
    register_backend("own", Own)
    assert given(CacheManager.from_url("own://?b=1&a=x")) == {"b": "1", "a": "x"}
    monkeypatch.setenv("OWN_BACKEND", "own")
    monkeypatch.setenv("OWN_OPTIONS__SOME_THING", "1")
    assert given(CacheManager.from_env("OWN_")) == {"some_thing": "1"}
    monkeypatch.setenv("OWN_OPTIONS__Mixed", "1")
    assert "OWN_OPTIONS__Mixed is unknown" in refusal(CacheManager.from_env, "OWN_")


def test_a_factory_without_a_signature_takes_any_option() -> None:
    register_backend("own", dict)  # a type written in C, without a signature
    with pytest.raises(ConfigurationError, match=r"backend must be a backend object .* got dict"):
        CacheManager.from_url("own://?a=1")


@pytest.mark.parametrize(
    "error", [BackendUnavailableError("down"), TypeError("odd"), OSError("gone")]
)
def test_an_error_of_the_factory_passes(error: Exception) -> None:
    def factory() -> Own:
        raise error

    register_backend("own", factory)
    with pytest.raises(type(error)) as caught:
        CacheManager.from_url("own://")
    assert caught.value is error


def test_no_factory_is_called_for_wrong_options() -> None:
    calls = []

    def factory(*, size: int = 0) -> Own:
        calls.append(size)
        return Own()

    register_backend("own", factory)
    refusal(CacheManager.from_url, "own://?size=x")
    refusal(CacheManager.from_url, "own://?sise=1")
    refusal(CacheManager.from_config, {"backend": "own", "colour": 1})
    with pytest.raises(ConfigurationError):
        CacheManager.from_url("own://", colour=1)
    assert calls == []


def test_a_file_backend_under_another_name_takes_its_path_as_an_option(tmp_path: Path) -> None:
    register_backend("disk", FileBackend)
    with CacheManager.from_url(f"disk://?db_path={tmp_path}/x.db") as cache:
        cache.set("key", 1)
    assert "must hold no host" in refusal(CacheManager.from_url, "disk:///x")
