"""What the library tells the log ``symphra_cache``: changes of state, each once.

``logging`` is imported when there is something to say: a program that never logs does not pay.
"""

from __future__ import annotations

__all__ = [
    "log_circuit",
    "log_link",
    "log_moved_aside",
    "log_outage",
    "log_recovery",
    "log_reset_bug",
    "log_unreadable",
]

_told: set[str] = set()


def log_unreadable(reported: set[str], path: str, backend: str) -> None:
    """Say that a namespace holds unreadable bytes, once per namespace.

    Args:
        reported: the namespaces already told of; the backend's own set.
        path: the namespace.
        backend: name of the backend.
    """
    if path in reported:
        return
    reported.add(path)
    from logging import getLogger

    getLogger("symphra_cache").warning(
        "unreadable value in namespace %r on %s: counted as a miss (said once per namespace)",
        path,
        backend,
        extra={"namespace": path, "backend": backend},
    )


def log_reset_bug(version: str) -> None:
    """Say that SQLite itself copies a log, in a version that may lose pages then; once.

    Args:
        version: of SQLite.
    """
    if version in _told:
        return
    _told.add(version)
    from logging import getLogger

    getLogger("symphra_cache").warning(
        "SQLite %s has the WAL-reset bug (sqlite.org/wal.html#walresetbug), which this library "
        "keeps off only where it can map the -shm file, as it can't now: let the process open "
        "more files, or use a newer SQLite (said once per process)",
        version,
        extra={"sqlite_version": version},
    )


def log_moved_aside(path: str, aside: str, reason: str) -> None:
    """Say that a damaged cache file has another name now; by the process that gave it.

    Args:
        path: where it stood.
        aside: where it is.
        reason: what was found wrong with it.
    """
    from logging import getLogger

    getLogger("symphra_cache").warning(
        "the cache file %r is damaged (%s): moved aside as %r, an empty one takes its place",
        path,
        reason,
        aside,
        extra={"path": path, "aside": aside, "reason": reason},
    )


def log_outage(backend: str, path: str, error: Exception) -> None:
    """Say that an outage has begun, which the program does not learn of.

    Args:
        backend: name of the backend.
        path: the namespace whose call was the first to fail.
        error: what the call would have raised.
    """
    from logging import getLogger

    getLogger("symphra_cache").warning(
        "outage of %s: calls are answered without it until it is over; namespace %r was the "
        "first to meet it: %s",
        backend,
        path,
        error,
        extra={"backend": backend, "namespace": path},
    )


def log_recovery(backend: str, path: str) -> None:
    """Say that an outage is over.

    Args:
        backend: name of the backend.
        path: the namespace whose call was answered.
    """
    from logging import getLogger

    getLogger("symphra_cache").warning(
        "the outage of %s is over",
        backend,
        extra={"backend": backend, "namespace": path},
    )


def log_circuit(where: str, reason: str | None) -> None:
    """Say that calls to a server fail at once from now on, or that it answers again.

    Args:
        where: the server, without secrets.
        reason: name of the error that opened the circuit; ``None``: it is closed again.
    """
    from logging import getLogger

    log = getLogger("symphra_cache")
    details = {"server": where, "reason": reason}
    if reason is None:
        log.warning("Redis at %s answers again: the circuit is closed", where, extra=details)
    else:
        log.warning(
            "Redis at %s does not answer (%s): the circuit is open, calls fail at once",
            *(where, reason),
            extra=details,
        )


def log_link(where: str, reason: str | None) -> None:
    """Say that the near cache is off, for a server does not tell what is written; or on again.

    Args:
        where: the server, without secrets.
        reason: what went wrong; ``None``: it tells again.
    """
    from logging import getLogger

    log = getLogger("symphra_cache")
    details = {"server": where, "reason": reason}
    if reason is None:
        log.warning("near cache of Redis at %s: on again", where, extra=details)
    else:
        log.warning(
            "near cache of Redis at %s: off until the server tells what is written (%s)",
            *(where, reason),
            extra=details,
        )
