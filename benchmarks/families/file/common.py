"""What the works of this family share: names, entries, folders, and the usual contestants."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from shutil import copytree, rmtree
from tempfile import mkdtemp
from typing import TYPE_CHECKING, NamedTuple

from families.memory.common import integers, keys, records, shuffled, texts
from harness.model import Contestant
from harness.runners import chunked
from peers import disk, sql, symphra_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from harness.loops import Calls
    from harness.model import Runner

    Opened = Callable[[], Calls]
    Pairs = Iterable[tuple[str, object]]

# An environment variable: the folder of a run, removed at its end. Other processes inherit it.
FOLDER = "BENCH_FILES"

OURS = "symphra_cache"
DISKCACHE = "diskcache"
COUNTING = "diskcache, statistics on"
BARE = "bare SQLite"
PREDECESSOR = "symphra-cache 0.1.0"

ENTRIES = 100_000
KEYS = 1_000
# Keys in a pass. Few, since the predecessor takes a second for five hundred.
PASS = 100
TTL = 300
# What values are, in turn.
KINDS = (integers, texts, records)
INTEGERS, TEXTS, RECORDS = range(len(KINDS))

FLOOR = "not a cache: no time to live, no counters, values neither encoded nor decoded"


class Peer(NamedTuple):
    """A contestant as an adapter gives it: what opens it in a folder, what fills that folder."""

    name: str
    opener: Callable[[Path], Calls]
    fill: Callable[[Path, Pairs], None]
    lacks: str = ""


US = Peer(OURS, symphra_file.symphra, symphra_file.fill_symphra)
DISK = Peer(DISKCACHE, disk.diskcache, disk.fill_diskcache, "counts no hits")
DISK_COUNTING = Peer(
    COUNTING, partial(disk.diskcache, statistics=1), disk.fill_diskcache, "writes with each read"
)
SQL = Peer(BARE, sql.bare, sql.fill_bare, FLOOR)
BEFORE = Peer(
    PREDECESSOR,
    partial(symphra_file.symphra, max_size=symphra_file.ROOM),
    symphra_file.fill_predecessor,
    "opens the file for each call",
)
CORE = (US, SQL, DISK)


def limited(peer: Peer, **options: object) -> Peer:
    """Return a contestant of ours with an option of the backend."""
    told = ", ".join(f"{name}={value!r}" for name, value in options.items())
    return peer._replace(name=f"{peer.name}, {told}", opener=partial(peer.opener, **options))


def entries() -> Pairs:
    """Return what every file holds: values of three kinds in turn."""
    values = [kind(ENTRIES) for kind in KINDS]
    return ((key, values[n % len(KINDS)][n]) for n, key in enumerate(keys(ENTRIES)))


def some(kind: int) -> list[str]:
    """Return as many keys as are read over and over, in no order; their values are of a kind."""
    return shuffled(keys(ENTRIES)[kind :: len(KINDS)])[:KEYS]


def equal(names: Iterable[str]) -> list[str]:
    """Return the same keys as other objects: nobody is asked with the object that it keeps."""
    return ["".join((*name,)) for name in names]


def changing(names: Sequence[str], size: int) -> list[list[tuple[str, int]]]:
    """Return chunks of pairs (key, value) that give a key another value each time.

    SQLite writes nothing where a row is replaced by an equal one.
    """
    return [
        [(key, 1_000_000 + turn) for key in chunk]
        for turn in range(8)
        for chunk in chunked(names, size)
    ]


class Housed:
    """A runner and its folder, which goes with it."""

    def __init__(self, runner: Runner, folder: Path) -> None:
        self.operations = runner.operations
        self.run = runner.run
        self._runner = runner
        self._folder = folder

    def close(self) -> None:
        """Close the runner, then remove the folder."""
        try:
            self._runner.close()
        finally:
            rmtree(self._folder)


def housed(peer: Peer, runner: Callable[[Opened], Runner]) -> Housed:
    """Make a runner on files of its own."""
    folder = copied(peer.fill)
    try:
        return Housed(runner(partial(peer.opener, folder)), folder)
    except BaseException:
        rmtree(folder, ignore_errors=True)
        raise


def copied(fill: Callable[[Path, Pairs], None]) -> Path:
    """Return a new folder with files that hold all entries; they are made once in a run."""
    home = Path(os.environ[FOLDER])
    filled = home / fill.__name__
    if not filled.exists():
        making = home / f"making-{fill.__name__}"
        rmtree(making, ignore_errors=True)
        making.mkdir()
        fill(making, entries())
        making.rename(filled)
    folder = Path(mkdtemp(dir=home))
    copytree(filled, folder, dirs_exist_ok=True)
    return folder


def contestants(
    peers: Iterable[Peer], runner: Callable[..., Runner], *arguments: object
) -> tuple[Contestant, ...]:
    """Return a contestant for each peer; the predecessor sits in its own process."""
    return tuple(contestant(peer, runner, *arguments) for peer in peers)


def contestant(peer: Peer, runner: Callable[..., Runner], *arguments: object) -> Contestant:
    """Return a peer at a work; arguments go to the runner, after what opens the peer."""

    def opened(opener: Opened) -> Runner:
        return runner(opener, *arguments)

    place = "predecessor" if peer.name == PREDECESSOR else "here"
    return Contestant(peer.name, partial(housed, peer, opened), peer.lacks, place)
