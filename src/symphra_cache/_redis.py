"""State of the Redis backend: how names and values stand on the server, one namespace's view.

No I/O here. The faces of the backend are in ``_async/redis.py`` and its generated twin.
"""

from __future__ import annotations

import re
from itertools import compress, repeat

from symphra_cache._frame import HEADER_SIZE, CorruptFrameError, FrameCodec
from symphra_cache._integers import HIGHEST, LOWEST, added, not_a_counter
from symphra_cache._keys import encoded_key, named_keys, named_mapping
from symphra_cache._log import log_unreadable
from symphra_cache._metrics import Counters
from symphra_cache._redis_errors import conceal, reason_of
from symphra_cache._redis_near_backend import Near
from symphra_cache._ttl import lifetimes, milliseconds
from symphra_cache._usage import Usage, closed_error
from symphra_cache.exceptions import BackendUnavailableError, CacheError
from symphra_cache.serializers import MessagePackSerializer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from symphra_cache._redis_deployment import Deployment
    from symphra_cache._redis_loops import Pools
    from symphra_cache._redis_near import NearCache
    from symphra_cache.serializers import Serializer
    from symphra_cache.types import TTL

__all__ = ["HEAD", "RedisKeyspaceState", "RedisStore", "failures"]

_UNREADABLE = object()
_ZERO = ord("0")
# With less of them, any number has 64 bits.
_DIGITS = 19
# The only way in which a Redis server writes an integer itself.
_CANONICAL = re.compile(rb"(?:0|-?[1-9][0-9]{0,18})\Z")


class RedisStore:
    """How values are written on the servers, and the way there.

    Args:
        deployment: the servers.
        routes: the way there, both faces; see ``_async/redis_routes.py``.
        serializer: ``None`` for the default one.
        max_value_bytes: the largest value that is written or decoded.
        near_cache: how much is kept in memory; ``None``: nothing.

    Raises:
        ConfigurationError: ``near_cache`` is something else, or can't be had.
    """

    def __init__(
        self,
        deployment: Deployment,
        routes: Any,
        serializer: Serializer | None,
        max_value_bytes: int,
        near_cache: NearCache | None,
    ) -> None:
        serializer = serializer or MessagePackSerializer()
        self.codec: FrameCodec = FrameCodec(serializer, max_value_bytes)
        # A signing serializer may want integers signed too, and gives up incr for it.
        self.plain_integers: bool = not getattr(serializer, "sign_integers", False)
        self.reported: set[str] = set()
        self.where: str = deployment.where
        self.secrets: list[str] = deployment.secrets
        self.pools: Pools = deployment.pools
        self.near: Near | None = None
        if near_cache is not None:
            self.near = Near(near_cache, deployment, self.codec)
        self.routes: Any = routes


class RedisKeyspaceState:
    """One namespace of a server: names its keys, reads and writes their values, counts."""

    def __init__(self, store: RedisStore, path: str, counters: Counters | None = None) -> None:
        self._store = store
        self._routes: Any = store.routes
        self._near: Any = store.near
        self._path = path
        self._prefix = f"{path}:".encode()
        self._counters = Counters() if counters is None else counters

    def _name(self, key: str) -> bytes:
        return self._prefix + encoded_key(key)

    def _require_open(self) -> None:
        if self._store.pools.closed:
            raise closed_error()

    def _written(self, name: bytes, value: object) -> bytes:
        """Return how a value stands on the server: an integer as text, else a frame."""
        if type(value) is int and self._store.plain_integers and LOWEST <= value <= HIGHEST:
            return b"%d" % value
        return self._store.codec.encode(name, value)

    def _prepared(self, key: str, value: object, ttl: TTL) -> tuple[bytes, int | None, bytes]:
        """Check the arguments of a write; a lifetime of 0 means that it is expired already."""
        name = self._name(key)
        lifetime = milliseconds(ttl)
        return name, lifetime, self._written(name, value)

    def _names(self, keys: Iterable[str]) -> dict[str, bytes]:
        """Check the keys of a bulk call; return each once, with its name."""
        return named_keys(self._prefix, keys)

    def _prepared_many(
        self, mapping: Mapping[str, object], ttl: TTL, jitter: float
    ) -> tuple[dict[str, bytes], list[tuple[Any, ...]]]:
        """Check the arguments of a bulk write.

        Returns:
            The keys with their names, and the commands that write them; none of these if the
            entries are expired already.
        """
        names, values = named_mapping(self._prefix, mapping)
        whole = milliseconds(ttl)
        written = self._written
        texts = [written(name, value) for name, value in zip(names.values(), values, strict=True)]
        if whole == 0:
            return names, []
        if whole is None:
            return names, [("SET", *one) for one in zip(names.values(), texts, strict=True)]
        times: Iterator[bytes] = repeat(b"%d" % whole)
        if jitter:
            times = (b"%d" % lifetime for lifetime in lifetimes(whole, jitter))
        return names, [
            ("SET", name, text, "PX", lifetime)
            for name, text, lifetime in zip(names.values(), texts, times, strict=False)
        ]

    def _is_integer(self, text: bytes) -> bool:
        return (
            self._store.plain_integers
            and _CANONICAL.match(text) is not None
            and LOWEST <= int(text) <= HIGHEST
        )

    def _live(self, head: bytes | None) -> bool:
        """Tell by the head of what stands on the server whether it is a value of ours."""
        if not head:
            return False
        return self._is_integer(head) or self._store.codec.readable(head)

    def _decoded(self, name: bytes, reply: bytes) -> object:
        # Nearly all that is written in digits alone needs no second look.
        if reply.isdigit() and reply[0] != _ZERO and len(reply) < _DIGITS:
            if self._store.plain_integers:
                return int(reply)
        elif self._is_integer(reply):
            return int(reply)
        try:
            return self._store.codec.decode(name, reply)
        except CorruptFrameError:
            log_unreadable(self._store.reported, self._path, "redis")
            return _UNREADABLE

    def _opened(self, name: bytes, reply: bytes | None, default: Any) -> Any:
        """Answer a read from what the server sent, and count it."""
        if reply is not None:
            value = self._decoded(name, reply)
            if value is not _UNREADABLE:
                self._counters.hits += 1
                return value
            self._counters.corrupt += 1
        self._counters.misses += 1
        return default

    def _opened_many(
        self, names: Mapping[str, bytes], replies: Sequence[bytes | None]
    ) -> dict[str, Any]:
        """Answer a bulk read from what the server sent, hits only, and count each."""
        # Hot path: what `_opened` does, with the least steps for each.
        keys, stored, found = list(names), list(names.values()), replies
        if None in replies:
            there = [reply is not None for reply in replies]
            keys, stored = list(compress(keys, there)), list(compress(stored, there))
            found = list(compress(replies, there))
        values = self._decoded_many(stored, found)  # type: ignore[arg-type]
        hits = dict(zip(keys, values, strict=True))
        if object in set(map(type, values)):
            hits = {key: value for key, value in hits.items() if value is not _UNREADABLE}
        self._counters.hits += len(hits)
        self._counters.corrupt += len(keys) - len(hits)
        self._counters.misses += len(names) - len(hits)
        return hits

    def _decoded_many(self, names: Sequence[bytes], replies: Sequence[bytes]) -> list[Any]:
        values: list[Any] = []
        others: list[int] = []
        if self._store.plain_integers and any(map(bytes.isdigit, replies)):
            for place, reply in enumerate(replies):
                # See `_decoded`.
                if reply.isdigit() and reply[0] != _ZERO and len(reply) < _DIGITS:
                    values.append(int(reply))
                else:
                    values.append(None)
                    others.append(place)
            if not others:
                return values
        decode = self._store.codec.decode_many
        if len(others) in (0, len(replies)):
            values = decode(names, replies)
        else:
            frames = decode([names[at] for at in others], [replies[at] for at in others])
            for place, value in zip(others, frames, strict=True):
                values[place] = value
        for place, value in enumerate(values) if failures(values) else ():
            if isinstance(value, CorruptFrameError):
                values[place] = self._decoded(names[place], replies[place])
        return values

    def _removed(self, head: bytes | None) -> bool:
        """Count the entry that a delete took away; tell whether it lived."""
        if not self._live(head):
            return False
        self._counters.deletes += 1
        return True

    def _not_incremented(self, name: bytes, reply: bytes | None, delta: int) -> CacheError:
        """Return why the server refused to add to what stands there."""
        if reply is None:
            return not_a_counter("a value of another type")
        value = self._decoded(name, reply)
        if value is _UNREADABLE:
            return not_a_counter("unreadable bytes")
        try:
            added(value, delta)
        except CacheError as error:
            return error
        return not_a_counter("a signed integer")

    def _keys_of(self, names: Iterable[bytes], heads: Iterable[bytes | None]) -> list[str]:
        """Return the keys of the names whose entries live; damaged names are left out."""
        keys = []
        for name, head in zip(names, heads, strict=True):
            if self._live(head):
                try:
                    keys.append(name[len(self._prefix) :].decode())
                except UnicodeDecodeError:
                    continue
        return keys

    def _patterns(self, nested: bool) -> list[bytes]:
        """Return the server's patterns for this namespace's names; a path has no wildcard."""
        patterns = [self._prefix + b"*"]
        if nested and self._path:
            patterns.append(self._path.encode() + b"/*")
        return patterns

    def _unavailable(self, error: Exception) -> CacheError:
        """Return our error for one of the client's, and count it."""
        if self._store.pools.closed:
            return closed_error()
        self._counters.errors += 1
        conceal(error, self._store.secrets)
        reason = reason_of(error)
        return BackendUnavailableError(f"Redis at {self._store.where} can't be used: {reason}")

    def _require_done(self, replies: Sequence[Any], keys: Collection[str] = ()) -> None:
        """Raise our error for a bulk call if some of it could not be done.

        Args:
            replies: answers and errors, in the order of the call.
            keys: what they are about, for the error to name; none if the call has no keys.
        """
        errors = failures(replies)
        if not errors:
            return
        found = self._unavailable(errors[0])
        if isinstance(found, BackendUnavailableError) and keys:
            found.failed = [
                key
                for key, reply in zip(keys, replies, strict=True)
                if isinstance(reply, Exception)
            ]
        raise found from errors[0]

    def usage(self) -> Usage:
        """Return that nothing is known without asking the server."""
        return Usage()


def failures(replies: Sequence[Any]) -> list[Exception]:
    """Return the errors among the replies of a bulk call."""
    # Mostly there are none, which their types tell at a glance.
    if not any(issubclass(kind, Exception) for kind in set(map(type, replies))):
        return []
    return [reply for reply in replies if isinstance(reply, Exception)]


HEAD = HEADER_SIZE - 1
"""Last byte of the head of a value, counted from 0, as GETRANGE counts."""
