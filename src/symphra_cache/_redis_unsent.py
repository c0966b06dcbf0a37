"""Whether a command that failed was sent: if it was not, nobody can have applied it.

An error that says so is marked, for its type does not tell: a connection may be refused when it is
made, or lost when a reply is due.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["aexchange_or_tell", "exchange_or_tell", "is_unsent", "mark_unsent"]


def mark_unsent(error: Exception) -> None:
    """Note on an error that nothing was sent before it came."""
    vars(error)["is_unsent"] = True


def is_unsent(error: BaseException) -> bool:
    """Tell whether an error came before anything was sent, as far as is known."""
    return "is_unsent" in vars(error)


def exchange_or_tell(pool: Any, *command: Any) -> Any:
    """Do what `ThreadPool.exchange` does; an error before the command is sent is marked."""
    # Hot path.
    try:
        connection = pool.get_connection()
    except Exception as error:
        mark_unsent(error)
        raise
    replies: list[Any] = []
    try:
        pool.send(connection, connection.pack_command(*command))
        pool.read_replies(connection, 1, replies)
    except BaseException as error:
        pool.note(connection, error)
        raise
    finally:
        pool.release(connection)
    pool.breaker.succeeded()
    if isinstance(replies[0], Exception):
        raise replies[0]
    return replies[0]


async def aexchange_or_tell(pool: Any, *command: Any) -> Any:
    """Do the same on a loop, where pools mark such errors themselves."""
    # Hot path.
    return await pool.exchange(*command)
