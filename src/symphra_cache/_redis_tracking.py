"""The links of a near cache: who tells of which names. A thread for each server, both faces alike.

A thread, not a task: entries are shared by all loops and threads of the process, so what makes
them valid must not depend on any one loop, which may stand still, or end.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from time import monotonic

from symphra_cache._forks import fork_aware
from symphra_cache._log import log_link
from symphra_cache._redis_errors import client_errors, conceal, is_refusal, reason_of
from symphra_cache._redis_near import Epoch, NearTable
from symphra_cache._redis_slots import slot_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from symphra_cache._redis_cluster import Cluster
    from symphra_cache._redis_link import Session
    from symphra_cache._redis_slots import Address

__all__ = ["Tracking"]

# Seconds until a link is made anew that has just broken; until a server is tried again that could
# not be reached; and one that does not want to tell.
_RETRY_AT_ONCE = 0.05
_RETRY = 1.0
_RETRY_REFUSED = 30.0


class Link:
    """The way on which one server tells what is written, made anew whenever it breaks.

    Args:
        tracking: whose link it is.
        address: of a node of a cluster, ``None`` if it is none.

    Attributes:
        epoch: the one now.
    """

    def __init__(self, tracking: Tracking, address: Address | None) -> None:
        self.epoch: Epoch = Epoch()
        self._tracking = tracking
        self._address = address
        self._wanted: frozenset[bytes] = frozenset()
        self._asked: frozenset[bytes] = frozenset()
        # Reentrant, as a finalizer that ends the link may run in the middle of its own steps.
        self._lock = threading.RLock()
        self._is_over = False
        self._is_confirmed = False  # since it was connected last
        self._is_down = False
        self._connection: Any = None
        self._bell, self._button = socket.socketpair()
        self._button.setblocking(False)

    def start(self) -> None:
        """Begin, in a thread of its own.

        Raises:
            RuntimeError: there can't be one.
        """
        thread = threading.Thread(target=self._run, name="symphra_cache near cache", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self.disinherit()
            raise

    def want(self, prefix: bytes) -> None:
        """Have names with a prefix told of, too; soon."""
        if prefix not in self._wanted:
            self._wanted |= {prefix}
            self._ring()

    def end(self) -> None:
        """Close it, soon."""
        self._is_over = True
        self._doubt()
        self._ring()

    def disinherit(self) -> None:
        """Close the sockets in a forked child; the thread has stayed with the parent."""
        sock = getattr(self._connection, "_sock", None)
        for inherited in (self._bell, self._button, sock):
            if inherited is not None:
                inherited.close()

    def _ring(self) -> None:
        with suppress(OSError):  # rung enough already, or closed
            self._button.send(b"!")

    def _doubt(self) -> None:
        """Serve nothing of this epoch any more."""
        with self._lock:
            self.epoch.until = 0.0
            self.epoch = Epoch()

    def _run(self) -> None:
        try:
            while not self._is_over and self._tracking.leads_to(self._address):
                pause = self._try()
                if not self._is_over:
                    self._rest(pause)
        finally:
            self._tracking.forget(self._address, self)
            self._bell.close()
            self._button.close()

    def _rest(self, seconds: float) -> None:
        """Wait, unless it is to end."""
        until = monotonic() + seconds
        while not self._is_over and (left := until - monotonic()) > 0:
            self._bell.settimeout(left)
            with suppress(TimeoutError):
                self._bell.recv(64)
        self._bell.settimeout(None)

    def _try(self) -> float:
        """Connect and listen until the link breaks; return how long to wait then, in seconds."""
        self._is_confirmed = False
        try:
            self._listen()
        except client_errors() as error:
            if not self._is_over:
                self._note_down(error)
            if _is_lasting(error):
                return _RETRY_REFUSED
        finally:
            self._doubt()
        return _RETRY_AT_ONCE if self._is_confirmed else _RETRY

    def _note_down(self, error: Exception) -> None:
        if not self._is_down:
            self._is_down = True
            self._tracking.say(self._address, error)

    def _listen(self) -> None:
        from symphra_cache._redis_link import Session

        connection = self._connection = self._tracking.connection(self._address)
        try:
            connection.connect()
            session = Session(
                connection,
                self._bell,
                self._told,
                self._confirm,
                of_cluster=self._address is not None,
            )
            try:
                self._asked = frozenset()
                while not self._is_over:
                    self._ask_for_more(session)
                    session.wait()
            except client_errors() as error:
                _suspect(connection, error)
                raise
            finally:
                session.close()
        finally:
            self._connection = None
            connection.disconnect()

    def _ask_for_more(self, session: Session) -> None:
        wanted = self._wanted
        if wanted - self._asked:

            def tracked() -> None:
                # Entries of the epoch so far are told of still.
                self.epoch.prefixes |= wanted

            session.track(sorted(wanted - self._asked), tracked)
            self._asked = wanted

    def _confirm(self, asked_at: float) -> None:
        from symphra_cache._redis_link import TRUSTED

        with self._lock:
            if self._is_over:
                return
            self.epoch.until = asked_at + TRUSTED
        self._is_confirmed = True
        if self._is_down:
            self._is_down = False
            self._tracking.say(self._address, None)

    def _told(self, names: list[bytes] | None) -> None:
        if names is not None:
            self._tracking.table.drop(names)
            return
        with self._lock:
            epoch = self.epoch
            self.epoch = Epoch(epoch.until, epoch.prefixes)
            epoch.until = 0.0


class Tracking:
    """The links to all servers that are read from; shared by threads, loops and both faces.

    Args:
        connection: makes a connection to a server, not yet connected.
        cluster: what is known of it, ``None`` if it is no cluster.
        table: where what is written is dropped from.
        where: the servers, without secrets.
        secrets: what must not be shown to anybody.
    """

    def __init__(
        self,
        connection: Callable[[Address | None], Any],
        cluster: Cluster | None,
        table: NearTable,
        where: str,
        secrets: list[str],
    ) -> None:
        self.connection = connection
        self.table = table
        self._cluster = cluster
        self._where = where
        self._secrets = secrets
        self._lock = threading.RLock()  # reentrant: a finalizer may close it at any time
        self._links: dict[Address | None, Link] = {}
        self._is_closed = False
        fork_aware(self)

    @property
    def version(self) -> int:
        """Of what is known of the cluster; see `Cluster`."""
        return 0 if self._cluster is None else self._cluster.version

    def epoch(self, name: bytes, prefix: bytes) -> Epoch | None:
        """Return the epoch of the link that tells of a name, ``None`` if none does now.

        The first time, a link is begun, or told of the prefix; nobody waits for it.
        """
        address = None
        if self._cluster is not None:
            address = self._cluster.owner(slot_of(name))
            if address is None:
                return None
        link = self._links.get(address) or self._begun(address)
        if link is None:
            return None
        epoch = link.epoch
        prefix = _tracked(prefix)
        if prefix not in epoch.prefixes:
            link.want(prefix)
            return None
        return epoch if monotonic() < epoch.until else None

    def _begun(self, address: Address | None) -> Link | None:
        with self._lock:
            if self._is_closed:
                return None
            if address not in self._links:
                # None without files or threads to spare, nor at the end of the interpreter.
                with suppress(OSError, RuntimeError):
                    link = Link(self, address)
                    link.start()
                    self._links[address] = link
            return self._links.get(address)

    def leads_to(self, address: Address | None) -> bool:
        """Tell whether a link to this server is of any use."""
        cluster = self._cluster
        return cluster is None or cluster.slots is None or address in cluster.slots.primaries

    def forget(self, address: Address | None, link: Link) -> None:
        """Note that a link has ended."""
        with self._lock:
            if self._links.get(address) is link:
                del self._links[address]

    def say(self, address: Address | None, error: Exception | None) -> None:
        """Tell the log that a link is down, or up again."""
        where = self._where if address is None else "{}:{}".format(*address)
        if error is not None:
            conceal(error, self._secrets)
        log_link(where, None if error is None else reason_of(error))

    def close(self) -> None:
        """End all links; nothing is served from memory any more."""
        with self._lock:
            self._is_closed = True
            links = list(self._links.values())
        for link in links:
            link.end()
        self.table.clear()

    def before_fork(self) -> None:
        """Let nobody begin a link."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Leave the parent its links; begin anew when something is read."""
        self._lock = threading.RLock()
        for link in self._links.values():
            link.epoch.until = 0.0
            link.disinherit()
        self._links.clear()
        self.table.start_over()


def _tracked(prefix: bytes) -> bytes:
    """Return the prefix by which a server is to tell of a namespace: one for all inside another.

    With each write of anybody the server goes through all prefixes, and programs may have
    thousands of nested namespaces.
    """
    outer, nested, _ = prefix.partition(b"/")
    return outer + nested if nested else prefix


def _suspect(connection: Any, error: Exception) -> None:
    """Doubt that the master is the one that sentinels named, as the link to it has broken.

    Else connections that nobody used meanwhile might fill the near cache from a former master.
    """
    if not _is_lasting(error) and not getattr(connection, "is_suspect", True):
        connection.suspect()


def _is_lasting(error: Exception) -> bool:
    """Tell whether a server refuses to tell, rather than being out of reach."""
    from redis import ResponseError

    return isinstance(error, ResponseError) and not is_refusal(error, "BUSY")
