"""Opening cache files: what stands at a path, and connections that are set up as ours.

A foreign file is recognised by its first bytes, before SQLite touches it: setting WAL alone
would alter it.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from stat import S_IMODE, S_ISDIR, S_ISREG
from tempfile import mkstemp

from symphra_cache._log import log_reset_bug
from symphra_cache._sqlite_checkpoints import has_reset_bug
from symphra_cache._sqlite_identity import (
    LOGS,
    FileConnection,
    forget_inherited,
    hold,
    identity_at,
    is_ours,
    let_go,
    opening,
    spare_the_file,
)
from symphra_cache._sqlite_quarantine import (
    clear_place,
    flaw,
    is_damage,
    move_aside,
    moving,
    remove_logs,
    remove_own_logs,
)
from symphra_cache._sqlite_schema import (
    APPLICATION_ID,
    SCHEMA_VERSION,
    DamagedError,
    check_schema,
    create_schema,
)
from symphra_cache.exceptions import BackendUnavailableError, ConfigurationError, ForeignFileError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    from symphra_cache._hot_tier import HotTier

    Durability = Literal["normal", "full"]

__all__ = [
    "attach_tier",
    "checked_path",
    "close_connection",
    "fill_new_file",
    "forget_inherited",
    "is_left",
    "open_connection",
    "recovered",
    "refuse_foreign",
]

_ATTEMPTS = 5
# The log is copied into the file when it is so long, 16 MB: a page that was written a hundred times
# since is copied once. SQLite's own 1,000 make `set` a quarter slower. Up to 4,062 pages the
# log's index is one table.
_LOG_PAGES = 4_000
_LOG_BYTES = 32 * 1024 * 1024  # to so many it is cut when it is begun anew
# What is appended to the name of a damaged file's log, and a little more.
_LONGEST_NAME = 200


def checked_path(db_path: object) -> str:
    """Return the absolute path of a cache file.

    Symbolic links stay in it: they are followed whenever the file is looked for, so that a
    link that leads elsewhere by then is noticed.

    Raises:
        ConfigurationError: it is neither a ``str`` nor a path object, empty, ``:memory:``, or
            its last part is too long.
    """
    if isinstance(db_path, os.PathLike):
        db_path = os.fspath(db_path)
    if not isinstance(db_path, str) or not db_path or "\0" in db_path:
        got = repr(db_path) if isinstance(db_path, str) else type(db_path).__name__
        raise ConfigurationError(
            f"db_path must be the path of a file (str or os.PathLike[str]), got {got}"
        )
    if db_path == ":memory:":
        raise ConfigurationError(
            "db_path must be the path of a file, got ':memory:'; use MemoryBackend() instead"
        )
    if len(os.fsencode(os.path.basename(db_path))) > _LONGEST_NAME:
        raise ConfigurationError(
            f"the file name of db_path is longer than {_LONGEST_NAME} bytes: names of files beside "
            "it begin with it"
        )
    return os.path.join(os.getcwd(), db_path)


def refuse_foreign(path: str) -> None:
    """Raise unless the path is free, an empty file or a cache of ours that we can read.

    Raises:
        ForeignFileError: something else stands there.
        ConfigurationError: a newer version of this library wrote it.
    """
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigurationError(f"db_path {path!r} can't be looked at: {error}") from error
    if S_ISDIR(mode):
        raise ForeignFileError(f"db_path {path!r} is a folder; name a file in it")
    if not S_ISREG(mode):
        raise ForeignFileError(f"db_path {path!r} is a device or a pipe; name a file")
    try:
        with opening():
            file = hold(path)
            header = file.header()
            let_go(file)
    except FileNotFoundError:
        return
    except OSError as error:
        raise BackendUnavailableError(f"the cache file {path!r} can't be read: {error}") from error
    if header:
        _refuse_header(path, header)


def _refuse_header(path: str, header: bytes) -> None:
    if not header.startswith(b"SQLite format 3\0") or len(header) < 72:
        raise ForeignFileError(
            f"db_path {path!r} is not a SQLite database; it is left as it is: "
            "choose another path, or move the file away"
        )
    if not is_ours(header):
        raise ForeignFileError(
            f"db_path {path!r} is the database of another application; it is left as it is: "
            "choose another path"
        )
    version = int.from_bytes(header[60:64], "big")
    if version > SCHEMA_VERSION:
        raise ConfigurationError(
            f"db_path {path!r} has schema version {version}, this release knows up to "
            f"{SCHEMA_VERSION}; upgrade symphra-cache or choose another path"
        )


def open_connection(path: str, durability: Durability, busy_timeout: float) -> FileConnection:
    """Open a cache file, making it if there is none, for use by one thread at a time.

    A damaged one is moved aside, and a new one made.

    Raises:
        ForeignFileError: the path holds something that is not ours.
        sqlite3.Error, OSError: it can't be opened.
    """
    for _ in range(_ATTEMPTS):
        db = _connect(path, busy_timeout)
        if db is None:
            continue
        try:
            _set_up(db, durability)
            # Moved or replaced while it was being opened? Then the log that SQLite took by
            # its name may be that of another file.
            if not is_left(db):
                return db
            db.logs = {}
        except sqlite3.Error as error:
            try:
                is_to_be_opened_anew = recovered(db, error)
            finally:
                close_connection(db)
            if not is_to_be_opened_anew:
                raise
            continue
        except BaseException:
            close_connection(db)
            raise
        close_connection(db)
    raise BackendUnavailableError(f"the cache file {path!r} is replaced again and again")


def recovered(db: FileConnection, error: sqlite3.Error | UnicodeDecodeError) -> bool:
    """Move the file aside if the error is due to damage; tell whether to open the path anew.

    Any error may be due to somebody else's having moved the file, its log first or last.

    Raises:
        BackendUnavailableError: it is damaged and can't be moved.
    """
    if db.file is None or not (is_damage(db, error) or flaw(db.file.header())):
        return is_left(db)
    _move_aside(db, error)  # unless it is not ours: opening it says so
    return True


def is_left(db: FileConnection) -> bool:
    """Look whether the path leads elsewhere by now; then have this process's others look, too.

    A file whose log was deleted or replaced is no longer of any use either: connections of
    this process go on with the old log, others take another, and the two undo each other's
    pages. It is moved aside, like a damaged one.
    """
    file = db.file
    if file is None or db.is_current():
        return False
    if identity_at(db.path) == file.identity and db.is_ours():
        _move_aside(db, DamagedError("its log was deleted or replaced"))
    else:
        with opening():
            file.epoch += 1
    return True


def _move_aside(db: FileConnection, error: Exception) -> None:
    try:
        move_aside(db, error)
    except OSError as obstacle:
        raise BackendUnavailableError(
            f"the cache file {db.place!r} is damaged ({error}) and can't be moved aside: {obstacle}"
        ) from error


def _connect(path: str, busy_timeout: float) -> FileConnection | None:
    """Open what stands at a path, or what is made there; ``None``: it has just changed."""
    with opening():
        refuse_foreign(path)
        place = os.path.realpath(path)
        os.makedirs(os.path.dirname(place), mode=0o700, exist_ok=True)
        while _is_missing_or_empty(place):
            _create(place, busy_timeout)
        try:
            file, db = hold(place), None
        except FileNotFoundError:  # another process has just moved it aside
            return None
        try:
            if clear_place(place, file, busy_timeout):
                db = sqlite3.connect(
                    place,
                    timeout=busy_timeout,
                    isolation_level=None,
                    check_same_thread=False,
                    factory=FileConnection,
                )
        finally:
            if db is None:
                let_go(file)
        if db is None:
            return None
        db.path, db.place, db.file, db.epoch = path, place, file, file.epoch
        db.logs, db.busy_timeout = {}, busy_timeout
        file.connections.add(db)
        if db.is_at_its_place(file):
            return db
        # So far SQLite has opened nothing but the file, perhaps another one than we hold.
        close_connection(db)
        return None


def _set_up(db: FileConnection, durability: Durability) -> None:
    # Text that should be bytes is damage to one row, or a foreign writer's: a miss, no error.
    db.text_factory = bytes
    _refuse_flaws(db)
    if not db.is_ours() or db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise ForeignFileError(f"db_path {db.path!r} was replaced by another database just now")
    check_schema(db)
    db.execute(f"PRAGMA synchronous = {'FULL' if durability == 'full' else 'NORMAL'}")
    db.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
    db.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}")
    db.execute("PRAGMA cache_size = -16000")
    db.logs = {suffix: identity_at(f"{db.place}{suffix}") for suffix in LOGS}


def _refuse_flaws(db: FileConnection) -> None:
    """Raise if the file is damaged in a way that SQLite does not notice."""
    assert db.file is not None
    header = db.file.header()
    if is_ours(header) and (found := flaw(header)):
        raise DamagedError(found)
    # While there is a log, the file may end in the middle of what is copied from there.
    page = int.from_bytes(header[16:18], "big")
    page = 65_536 if page == 1 else page
    if page and db.file.size() % page and not os.path.exists(f"{db.place}-wal"):
        raise DamagedError("it ends within a page")


def _is_missing_or_empty(path: str) -> bool:
    try:
        return not os.path.getsize(path)
    except FileNotFoundError:
        return True


def _create(place: str, busy_timeout: float) -> None:
    """Put a finished database where there is no file or an empty one, one process at a time.

    Not made in place: setting ``auto_vacuum`` writes the first page in a transaction of its
    own, so others would see a database without our application id for a moment, or for ever
    if this process is killed then.
    """
    with moving(place, busy_timeout):
        if not _is_missing_or_empty(place):
            return  # another process was faster
        folder, name = os.path.split(place)
        handle, finished = mkstemp(f".new-{name}", dir=folder)
        os.close(handle)
        try:
            with suppress(FileNotFoundError):
                os.chmod(finished, S_IMODE(os.stat(place).st_mode))
            _write_empty_cache(finished)
            if _is_missing_or_empty(place):  # nobody has put another file there meanwhile
                remove_logs(place)
                os.replace(finished, place)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(finished)


def _write_empty_cache(path: str) -> None:
    db = sqlite3.connect(path, isolation_level=None)
    try:
        fill_new_file(db)
    finally:
        db.close()


def fill_new_file(db: sqlite3.Connection) -> None:
    """Make an empty database ours.

    Raises:
        ConfigurationError: it can't have a write-ahead log there.
    """
    create_schema(db)
    mode = db.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise ConfigurationError(
            f"db_path is on a file system without write-ahead logging (journal mode {mode!r}), "
            "a network share for example; put the file on a local disk"
        )


def close_connection(db: FileConnection) -> None:
    """Close a connection of `open_connection`; twice does no harm.

    The last one copies the log into the file, but not into one that is no longer ours.
    """
    with opening():
        file, db.file = db.file, None
        if file is None:
            return db.close()
        is_stranger = not is_ours(file.header())
        is_elsewhere = not db.is_at_its_place(file)
        if is_stranger or is_elsewhere or not db.logs or not db.has_its_log():
            # SQLite would also remove the log by its name, which may be another's by now.
            spare_the_file(db, file)
        if is_stranger or is_elsewhere:
            # Before the close: afterwards, other files may have been given their inodes.
            with suppress(OSError):  # whoever makes the file anew tries again
                remove_own_logs(db)
        db.close()
        file.connections.discard(db)
        let_go(file)


def attach_tier(db: FileConnection, tier: HotTier) -> None:
    """Have a hot tier serve the file of a connection, as far as its WAL index can be mapped.

    Where it can't (too many open files, say), each hit asks SQLite whether anybody has committed,
    and SQLite itself decides when the log is copied.
    """
    with opening():
        file = db.file
        index = None if file is None else file.map_index(f"{db.place}-shm")
    if index is not None:  # then `_sqlite_checkpoints.py` knows how long the log is
        db.execute("PRAGMA wal_autocheckpoint = 0")
    elif has_reset_bug(sqlite3.sqlite_version_info):
        log_reset_bug(sqlite3.sqlite_version)
    # Not within `opening`: who has the turn of a tier may be made to wait for that by a finalizer.
    tier.attach(None if file is None else file.identity, None if index is None else index.read)
    db.tier = tier
