"""Which node of a cluster serves which slot. No I/O here."""

from __future__ import annotations

from binascii import crc_hqx

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Address = tuple[str, int]

__all__ = ["SLOTS", "SlotMap", "read_slots", "slot_of", "told_host"]

SLOTS = 16_384


class SlotMap:
    """The primaries of a cluster by slot, as one of its nodes told.

    Shared by threads and loops without a lock: it is replaced as a whole, and a single slot is
    given another owner in one step.

    Attributes:
        owners: host and port of the primary of each slot; ``None`` for one that nobody serves.
        primaries: all of them.
    """

    __slots__ = ("owners", "primaries")

    def __init__(self, owners: list[Address | None], primaries: frozenset[Address]) -> None:
        self.owners: list[Address | None] = owners
        self.primaries: frozenset[Address] = primaries


def slot_of(name: bytes) -> int:
    """Return the slot of a name: that of what stands in its first braces, if anything does."""
    # Hot path.
    if name.find(b"{") >= 0:
        _, _, rest = name.partition(b"{")
        tag, closed, _ = rest.partition(b"}")
        if tag and closed:
            name = tag
    return crc_hqx(name, 0) % SLOTS


def read_slots(reply: Any, asked: Address) -> SlotMap | None:
    """Read the reply to ``CLUSTER SLOTS``.

    Args:
        reply: as it came.
        asked: the node that was asked, whose host counts where it names none.

    Returns:
        The map, ``None`` if the node knows of no slot.
    """
    owners: list[Address | None] = [None] * SLOTS
    primaries = set()
    for first, last, (host, port, *_), *_ in reply:
        owner = (told_host(host, asked), int(port))
        owners[first : last + 1] = [owner] * (last + 1 - first)
        primaries.add(owner)
    return SlotMap(owners, frozenset(primaries)) if primaries else None


def told_host(host: bytes | str | None, asked: Address) -> str:
    """Return the host that a node told, which may leave out its own."""
    text = host.decode() if isinstance(host, bytes) else host
    return asked[0] if text in (None, "", "?") else text
