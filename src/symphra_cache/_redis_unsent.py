"""Whether a command that failed was sent: if it was not, nobody can have applied it.

An error that says so is marked, for its type does not tell: a connection may be refused when it is
made, or lost when a reply is due.
"""

from __future__ import annotations

__all__ = ["is_unsent", "mark_unsent"]


def mark_unsent(error: BaseException) -> None:
    """Note on an error that nothing was sent before it came."""
    vars(error)["is_unsent"] = True


def is_unsent(error: BaseException) -> bool:
    """Tell whether an error came before anything was sent, as far as is known."""
    return "is_unsent" in vars(error)
