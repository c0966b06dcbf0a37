"""The circuit breaker: a server that does not answer is not asked by every call.

After some failures in a row its calls fail at once, without I/O. Now and then one of them, a
probe, is let through; the first that gets an answer closes the circuit again. A probe that fails
at once, for nothing listens there, costs nothing: the next may come a tenth of the time later.
"""

from __future__ import annotations

import sys
import threading
from math import isfinite
from time import monotonic

from symphra_cache._forks import fork_aware
from symphra_cache._log import log_circuit
from symphra_cache._redis_errors import is_answer, is_failure, is_late
from symphra_cache.exceptions import ConfigurationError

__all__ = ["CircuitBreaker", "NodeBreaker"]

# What part of ``reset_after`` is waited when failing was quick, and what part of it that takes at
# the most: a refusal may come late on a busy machine.
_SOON = 0.1
_QUICK = 0.5


class CircuitBreaker:
    """How patient `RedisBackend` is with a server that does not answer; each has a circuit.

    A failure is a server that can't be reached, breaks the connection, takes too long or is still
    loading. Whatever else it answers, errors included, is none.

    Args:
        failures: how many in a row open the circuit.
        reset_after: seconds between two calls that are let through while it is open. Where they
            fail at once it is a tenth of that.

    Raises:
        ConfigurationError: an argument is wrong.
    """

    __slots__ = ("failures", "reset_after")

    def __init__(self, failures: int = 5, reset_after: float = 1.0) -> None:
        if type(failures) is not int or failures < 1:
            raise ConfigurationError(
                f"failures must be a positive int, got {_shown(failures)}; "
                "breaker=None switches the circuit breaker off"
            )
        is_number = type(reset_after) in (int, float)
        if not is_number or not isfinite(reset_after) or reset_after <= 0:
            raise ConfigurationError(
                f"reset_after must be seconds, finite and more than 0, got {_shown(reset_after)}"
            )
        self.failures: int = failures
        self.reset_after: float = float(reset_after)

    def __repr__(self) -> str:
        return f"CircuitBreaker(failures={self.failures}, reset_after={self.reset_after})"


class NodeBreaker:
    """The circuit of one server, shared by threads, event loops and both faces.

    Args:
        settings: when it opens; ``None``: never.
        where: the server, for messages; without secrets.
    """

    __slots__ = (
        *("__weakref__", "_failed", "_limit", "_probe_at", "_probe_began", "_reason"),
        *("_reset_after", "_turn", "_where"),
    )

    def __init__(self, settings: CircuitBreaker | None, where: str) -> None:
        self._limit: int = sys.maxsize if settings is None else settings.failures
        self._reset_after: float = 1.0 if settings is None else settings.reset_after
        self._where: str = where
        self._failed: int = 0  # in a row
        self._reason: str = ""
        self._probe_began: float = 0.0  # 0: none is under way
        self._probe_at: float = 0.0
        self._turn: threading.Lock = threading.Lock()
        fork_aware(self)

    @property
    def is_open(self) -> bool:
        """Whether calls fail at once, probes excepted."""
        return self._failed >= self._limit

    @property
    def has_failed(self) -> bool:
        """Whether the last that is known of the server is a failure."""
        return self._failed > 0

    def admit(self) -> None:
        """Let a call through, or fail.

        Raises:
            redis.ConnectionError: the circuit is open and the time for a probe has not come.
        """
        # Hot path.
        if self._failed >= self._limit:
            self._admit_probe()

    def _admit_probe(self) -> None:
        now = monotonic()
        with self._turn:
            left = self._probe_at - now
            if left <= 0:
                # However it ends: one that is cancelled gives nothing back.
                self._probe_began, self._probe_at = now, now + self._reset_after
                return
        from redis.exceptions import ConnectionError as LostError

        raise LostError(f"circuit open, next try in {left:.1f} s, after: {self._reason}")

    def succeeded(self) -> None:
        """Note an answer: the circuit is closed."""
        # Hot path.
        if self._failed:
            was_open, self._failed = self.is_open, 0
            if was_open:
                log_circuit(self._where, None)

    def failed(self, error: BaseException) -> None:
        """Note what a call ended with: whether that is a failure, it is found out here."""
        if not is_failure(error):
            if is_answer(error):
                self.succeeded()
            return
        with self._turn:
            self._failed += 1
            if not self.is_open:
                return
            is_new = self._failed == self._limit
            self._reason = str(error) or type(error).__name__
            self._put_off_probe(is_new=is_new, is_late=is_late(error))
        if is_new:
            log_circuit(self._where, type(error).__name__)

    def _put_off_probe(self, *, is_new: bool, is_late: bool) -> None:
        now, began = monotonic(), self._probe_began
        # The others that were under way when the circuit opened have no say in this.
        if is_new or began:
            is_quick = is_new or not (is_late or now - began > _QUICK * self._reset_after)
            self._probe_at = now + self._reset_after * (_SOON if is_quick else 1)
            self._probe_began = 0.0

    def before_fork(self) -> None:
        """Let nobody else be in the middle of a change."""
        self._turn.acquire()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._turn.release()

    def after_fork_in_child(self) -> None:
        """Go on with a lock of its own."""
        self._turn = threading.Lock()


def _shown(value: object) -> str:
    shown = f" {value!r}" if isinstance(value, (int, float)) else ""
    return f"{type(value).__name__}{shown}"
