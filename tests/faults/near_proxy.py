"""A proxy that knows on which of its connections a server tells what is written."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tcp_proxy import CutError, TCPProxy

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from tcp_proxy import Direction


class LinkProxy(TCPProxy):
    """Does what networks do to the links of near caches alone.

    Attributes:
        links: the ends of the newest link: the server's and the client's.
    """

    def __init__(self, server: tuple[str, int]) -> None:
        self.links: tuple[socket.socket, ...] = ()
        self._clients: dict[socket.socket, socket.socket] = {}
        self._doomed: tuple[socket.socket, ...] = ()
        self._deaf: tuple[socket.socket, ...] = ()
        super().__init__(server)

    def reset_link(self) -> None:
        """Reset the link, as soon as anything comes on it."""
        self._doomed = self.links

    def swallow(self, *, replies_alone: bool = False) -> None:
        """Take what comes on the link, from now on, and pass on none of it."""
        # Both ends stay open, so nobody is told; the server's requests are news of nothing.
        self._deaf += self.links[1:] if replies_alone else self.links

    def _join(self, client: socket.socket, server: socket.socket) -> None:
        self._clients[server] = client
        super()._join(client, server)

    def _pass(self, direction: Direction, data: bytes, target: socket.socket) -> None:
        if direction == "request" and b"TRACKING" in data:
            self.links = (target, self._clients[target])
        if target in self._doomed:
            raise CutError
        if target not in self._deaf:
            super()._pass(direction, data, target)


@contextmanager
def running_link_proxy(server: tuple[str, int]) -> Iterator[LinkProxy]:
    """Run a proxy in front of a server; see `LinkProxy`."""
    proxy = LinkProxy(server)
    try:
        yield proxy
    finally:
        proxy.close()
