"""What the library tells the log ``symphra_cache``: changes of state, each once.

``logging`` is imported when there is something to say: a program that never logs does not pay.
"""

from __future__ import annotations

__all__ = ["log_moved_aside", "log_unreadable"]


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
