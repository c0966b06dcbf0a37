"""What redis-py's errors mean. Loads redis-py's exceptions when there may be one."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["client_errors", "conceal", "is_answer", "is_failure", "is_refusal", "reason_of"]


# What a server of 6.2 puts before an error that a script met.
_SCRIPT = re.compile(r"^Error running script \(call to \w+\): (?:@user_script: ?\d+: )+")


def client_errors() -> tuple[type[Exception], ...]:
    """Return what redis-py raises."""
    from redis.exceptions import RedisClusterException, RedisError

    return RedisError, RedisClusterException, OSError


def is_answer(error: BaseException) -> bool:
    """Tell whether an error is a server's answer to a command, after which nothing comes."""
    from redis.exceptions import ResponseError

    return isinstance(error, ResponseError)


def is_failure(error: BaseException) -> bool:
    """Tell whether a server could not be reached, or could not answer."""
    from redis import exceptions

    # Wrong passwords are told as lost connections; but who refuses them is there.
    kinds = (exceptions.ConnectionError, exceptions.TimeoutError, OSError)
    return isinstance(error, kinds) and not isinstance(error, exceptions.AuthenticationError)


def is_late(error: BaseException) -> bool:
    """Tell whether a failure is one that took a time-out."""
    from redis import exceptions

    return isinstance(error, (exceptions.TimeoutError, TimeoutError))


def is_refusal(error: Exception, code: str) -> bool:
    """Tell whether the server answered with an error of this code, ``"WRONGTYPE"`` say."""
    if code == "NOSCRIPT":
        from redis.exceptions import NoScriptError

        return isinstance(error, NoScriptError)
    return str(error).startswith(code)


def reason_of(error: Exception) -> str:
    """Return in a few words what happened: some replies quote the command after that."""
    from redis.exceptions import AskError, MovedError

    words = _SCRIPT.sub("", str(error)).split()[:12] or [type(error).__name__]
    if isinstance(error, AskError):  # redis-py leaves the first word out, and so all sense
        words.insert(0, "MOVED" if isinstance(error, MovedError) else "ASK")
    return " ".join(words)


def conceal(error: BaseException | None, secrets: Iterable[str]) -> None:
    """Take secrets out of an error and its causes: a server may quote the command it refuses."""
    while error is not None:
        for secret in secrets:
            if any(secret in str(argument) for argument in error.args):
                error.args = tuple(str(argument).replace(secret, "***") for argument in error.args)
        error = error.__cause__ or error.__context__
