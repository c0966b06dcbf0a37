"""The cache file where it may not be written, or where there is no room for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from file_processes import Child
from symphra_cache import CacheManager
from symphra_cache.backends import FileBackend

if TYPE_CHECKING:
    from collections.abc import Iterator

# For root nothing is forbidden, so the child becomes nobody. It imports all before that, by a
# first use: nobody may be unable to read where Python's modules are.
_BECOME_NOBODY = """
import logging, tempfile
with tempfile.TemporaryDirectory() as folder, CacheManager(FileBackend(folder + "/c")) as first:
    first.set("k", 1)
    asyncio.run(first.aset("k", 1))
    first.scan(), asyncio.run(first.acount())
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
"""
_TRY = """
path, face, operation, *arguments = given
def attempt():
    try:
        with CacheManager(FileBackend(path)) as cache:
            if face == "blocking":
                return getattr(cache, operation)(*arguments)
            return asyncio.run(getattr(cache, "a" + operation)(*arguments))
    except Exception as error:
        return f"{type(error).__name__}: {error}"
told = attempt()
"""


@pytest.fixture(scope="module")
def nobody() -> Iterator[Child]:
    with Child(_TRY, preparation=_BECOME_NOBODY) as child:
        yield child


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody can reach, unlike pytest's own."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o777)
    yield path
    path.chmod(0o700)
    shutil.rmtree(path)


@pytest.fixture
def path(folder: Path) -> Path:
    """A cache file that was closed in good order, with one entry."""
    with CacheManager(FileBackend(folder / "cache.db")) as cache:
        cache.set("k", "there")
    (folder / "cache.db").chmod(0o666)
    return folder / "cache.db"


faces = pytest.mark.parametrize("face", ["blocking", "asyncio"])


@faces
def test_a_file_that_may_only_be_read_is_read(nobody: Child, path: Path, face: str) -> None:
    path.chmod(0o444)
    before = path.read_bytes()
    assert nobody.ask(path, face, "get", "k") == "'there'"
    told = nobody.ask(path, face, "set", "k", "new")
    assert "BackendUnavailableError" in told
    assert "readonly" in told
    assert nobody.ask(path, face, "get", "k") == "'there'"
    assert path.read_bytes() == before


@faces
def test_a_folder_that_may_only_be_read_is_an_outage(
    nobody: Child, folder: Path, path: Path, face: str
) -> None:
    # SQLite needs its log beside the file, to read too.
    folder.chmod(0o555)
    before = path.read_bytes()
    for operation in (("get", "k"), ("set", "k", "new")):
        told = nobody.ask(path, face, *operation)
        assert "BackendUnavailableError: the cache file can't be used" in told
        assert "must be able to write" in told
    told = nobody.ask(folder / "new.db", face, "get", "k")
    assert "BackendUnavailableError" in told
    assert "Permission denied" in told
    assert path.read_bytes() == before
    assert os.listdir(folder) == ["cache.db"]


@faces
def test_a_damaged_file_that_can_not_be_moved_stays(
    nobody: Child, folder: Path, path: Path, face: str
) -> None:
    path.write_bytes(damaged := path.read_bytes()[:-100])
    folder.chmod(0o555)
    told = nobody.ask(path, face, "get", "k")
    assert "BackendUnavailableError" in told
    assert "can't be moved aside" in told
    assert path.read_bytes() == damaged


def test_what_may_not_be_read_is_refused(nobody: Child, folder: Path, path: Path) -> None:
    path.chmod(0o000)
    told = nobody.ask(path, "blocking", "get", "k")
    assert "BackendUnavailableError" in told
    assert "can't be read" in told
    folder.chmod(0o600)
    told = nobody.ask(path, "blocking", "get", "k")
    assert "ConfigurationError" in told
    assert "can't be looked at" in told


_FULL = """
import asyncio, os, resource, sqlite3, sys
from symphra_cache import BackendUnavailableError, CacheManager
from symphra_cache.backends import FileBackend

folder, limit, face = sys.argv[1], int(sys.argv[2]), sys.argv[3]
path = folder + "/cache.db"
filler = folder + "/filler"

def fill():
    if limit:
        return resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    with open(filler, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass

def free():
    if limit:
        return resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    os.unlink(filler)

async def asynchronously(cache, operation, *arguments):
    return await getattr(cache, "a" + operation)(*arguments)

def call(cache, operation, *arguments):
    if face == "asyncio":
        return asyncio.run(asynchronously(cache, operation, *arguments))
    return getattr(cache, operation)(*arguments)

def refused(cache, operation, *arguments):
    try:
        call(cache, operation, *arguments)
    except BackendUnavailableError as error:
        assert isinstance(error.__cause__, sqlite3.OperationalError), error.__cause__
        return True
    return False

big = bytes(limit + 100_000)
with CacheManager(FileBackend(path)) as cache:
    call(cache, "set_many", {f"k{number}": number for number in range(100)})
    assert call(cache, "get", "k1") == 1
    for turn in range(3):
        fill()
        assert refused(cache, "set", "big", big)
        # Small writes may find room within what is there; at some time they do not.
        assert any(refused(cache, "set", f"s{turn}-{i}", bytes(2_000)) for i in range(1_000))
        assert refused(cache, "set_many", {"a": big, "b": 1})
        assert call(cache, "get", "k1") == 1
        assert call(cache, "get_many", ["k2", "a", "b"]) == {"k2": 2}
        assert len(call(cache, "get_many", [f"k{number}" for number in range(100)])) == 100
        free()
        assert call(cache, "set", "k1", 1)
        assert call(cache, "set", "big", big)
        assert call(cache, "get", "big") == big
        assert call(cache, "delete", "big")
        call(cache, "delete_matching", f"s{turn}-*")
    print("done")
with CacheManager(FileBackend(path)) as cache:
    assert len(call(cache, "get_many", [f"k{number}" for number in range(100)])) == 100
db = sqlite3.connect(path)
print(db.execute("PRAGMA integrity_check").fetchall())
db.close()
print(sorted(os.listdir(folder)))
"""

_OVERWRITE = """
import asyncio, resource, sys
from symphra_cache import CacheManager
from symphra_cache.backends import FileBackend

with CacheManager(FileBackend(sys.argv[1])) as cache:
    cache.set("k", "first")
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
    for number in range(300):
        if sys.argv[2] == "asyncio":
            assert asyncio.run(cache.aset("k", [number, "x" * 1_000]))
        else:
            assert cache.set("k", [number, "x" * 1_000])
    print(cache.get("k")[0])
"""

# A file system of 2 MB in a mount namespace of its own: it is gone with the process.
_MOUNT = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
_MOUNTED = 'mount -t tmpfs -o size=2m none "$0" && exec "$@"'


def can_mount(folder: Path) -> bool:
    """Tell whether this user may mount a small file system, for its own processes alone."""
    if shutil.which("unshare") is None:
        return False
    tried = subprocess.run([*_MOUNT, _MOUNTED, folder, "true"], capture_output=True, check=False)
    return tried.returncode == 0


@faces
@pytest.mark.parametrize("by", ["small file system", "limit on files"])
def test_a_full_disk_fails_writes_and_nothing_else(tmp_path: Path, face: str, by: str) -> None:
    # Where mounting is not allowed, the limit stands for the file system as well: the kernel
    # refuses to write, as it does on a full disk.
    has_disk = by == "small file system" and can_mount(tmp_path)
    prefix = [*_MOUNT, _MOUNTED, tmp_path] if has_disk else []
    limit = 0 if has_disk else 300_000
    told = subprocess.run(
        [*prefix, sys.executable, "-c", textwrap.dedent(_FULL), tmp_path, str(limit), face],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told.stderr == ""
    assert told.stdout.splitlines() == ["done", "[('ok',)]", "['cache.db']"]


@faces
def test_the_log_needs_no_more_room_than_there_is(tmp_path: Path, face: str) -> None:
    told = subprocess.run(
        [sys.executable, "-c", _OVERWRITE, tmp_path / "cache.db", face],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (told.stderr, told.stdout) == ("", "299\n")
