"""Runs one Redis server for as long as its owner lives, however the owner ends.

A program of its own, started by ``redis_servers.py``. It ends the server when the owner closes
its standard input, or is gone (``kill -9`` included), and ends itself when the server does. If
asked it also translates TLS for a server that was built without it.

    redis_guard.py OWNER PORT TLS_PORT CERTIFICATE KEY -- COMMAND...     (TLS_PORT 0: no TLS)
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import socket
import ssl
import subprocess
import sys
import threading

HOST = "127.0.0.1"
INTERVAL = 0.1
PR_SET_PDEATHSIG = 1  # of prctl(2)


def pump(source: socket.socket, target: socket.socket) -> None:
    """Pass on what comes until one side ends."""
    try:
        while data := source.recv(65_536):
            target.sendall(data)
    except OSError:
        pass
    finally:
        for end in (source, target):
            end.close()


def serve(client: socket.socket, context: ssl.SSLContext, port: int) -> None:
    """Join a TLS client and the server, which knows no TLS."""
    try:
        inner = context.wrap_socket(client, server_side=True)
        server = socket.create_connection((HOST, port))
    except OSError:
        client.close()
        return
    # One thread of its own, for a TLS socket may be read and written at the same time.
    threading.Thread(target=pump, args=(server, inner), daemon=True).start()
    pump(inner, server)


def translate_tls(port: int, tls_port: int, certificate: str, key: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server((HOST, tls_port))

    def accept() -> None:
        while True:
            client, _ = listener.accept()
            threading.Thread(target=serve, args=(client, context, port), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def wake_on_end_of_child() -> int:
    """Return a descriptor that can be read as soon as a child has ended."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return reader


def end_with_parent(parent: int) -> None:
    """In the server, before it runs: have it killed with the guard, however that ends."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def main() -> int:
    owner, port, tls_port = map(int, sys.argv[1:4])
    certificate, key, _, *command = sys.argv[4:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if tls_port:
        translate_tls(port, tls_port, certificate, key)
    woken = wake_on_end_of_child()
    own = os.getpid()
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, preexec_fn=lambda: end_with_parent(own)
    ) as server:
        while server.poll() is None:
            ready, _, _ = select.select([0, woken], [], [], INTERVAL)
            if woken in ready:
                os.read(woken, 4096)  # a child that was stopped wakes it too
            if 0 in ready or os.getppid() != owner:
                server.kill()
                break
    return server.returncode or 0


if __name__ == "__main__":
    # At once: threads of the translation may still be waiting.
    status = main()
    sys.stdout.flush()
    os._exit(status & 0xFF)
