"""What must be true inside a memory backend whenever no operation is under way."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from symphra_cache._eviction import S3FIFO

if TYPE_CHECKING:
    from symphra_cache._expiry import ExpiryQueue
    from symphra_cache._memory_store import MemoryStore
    from symphra_cache.backends import MemoryBackend

LONG = os.environ.get("SYMPHRA_LONG_TESTS") == "1"
"""Whether tests that have a long form run it: ``tox run -e memory-long,file-long,redis-long``."""


def entries_of(backend: MemoryBackend) -> dict[Any, Any]:
    """Return the entries by name, expired ones not yet dropped included."""
    policy = backend._store.policy
    return {name: policy.find(name) for name in list(policy.entries)}


def deadlines_of(queue: ExpiryQueue) -> list[tuple[float, Any]]:
    """Return every deadline that a queue holds, with its name."""
    found: list[tuple[float, Any]] = []
    for lane in queue._lanes.values():
        for half in (list(lane.seen), list(lane.rest)):
            found += zip(half[::2], half[1::2], strict=True)
    for heap in (queue._heap.seen, queue._heap.rest):
        found += [(deadline, name) for deadline, _, name in heap]
    return found


def check_whole(backend: MemoryBackend) -> None:
    """Check bounds, sizes and the policy's order."""
    store = backend._store
    assert len(store.policy.entries) <= store.max_size
    check_sizes(store)
    if isinstance(store.policy, S3FIFO):
        check_queues(store.policy)


def check_sizes(store: MemoryStore) -> None:
    """Check that every entry has a size, and that their sum is right and within its bound."""
    if store.sizes is None:
        assert store.usage().bytes is None
        return
    sizes = store.sizes._by_name
    assert sizes.keys() == set(store.policy.entries)
    assert store.sizes.total == sum(sizes.values())
    assert store.sizes.total <= store.sizes.max_bytes


def check_queues(policy: S3FIFO) -> None:
    """Check that each entry of S3-FIFO stands in one queue, and that it knows in which."""
    assert policy._small.keys() | policy._main.keys() == policy.entries.keys()
    assert len(policy._small) + len(policy._main) == len(policy.entries)
    assert all(node.queue[name] is node for name, node in policy.entries.items())


def check_deadlines(backend: MemoryBackend) -> None:
    """Check that the queue knows every entry that expires, no later than it does."""
    queue = backend._store.expiries
    known = deadlines_of(queue)
    assert queue.size == len(known)
    assert queue.next_due <= min((deadline for deadline, _ in known), default=queue.next_due)
    # Entries that were written together share a deadline.
    named = {(id(deadline), name) for deadline, name in known}
    for name, (_, deadline, _, queued) in entries_of(backend).items():
        if deadline is None:
            continue
        assert queued is not None
        assert queued <= deadline
        assert (id(queued), name) in named, f"nothing will ever drop {name!r}"
