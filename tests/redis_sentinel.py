"""Real Redis Sentinels for the tests: three of them, with a master and its replica.

Each of the five is a server of `redis_servers`, with a guard of its own, so that all of them end
with the process that started them, whatever happens. `shared_sentinels` are for the whole
session, made whole and empty by their `fresh`; tests that need their own use `running_sentinels`.
"""

from __future__ import annotations

import functools
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Self

import redis

from redis_servers import HOST, QUICK_REPLICATION, RedisServer, RedisServerError, until

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "main"
SENTINELS = 3
QUORUM = 2
SECONDS_TO_FORM = 60
# In milliseconds. A sentinel connects anew once a second; half of that is taken for a death.
DOWN_AFTER = 1000
FAILOVER_TIMEOUT = 2000

# In milliseconds too. Sentinels look after each other less often than tests want to wait, and do
# nothing for half a minute after they have been kept from running for two seconds. Those of 6.2
# can't be told.
HASTE = {
    "ping-period": 500,
    "ask-period": 200,
    "publish-period": 300,
    "info-period": 1000,
    "tilt-trigger": 20_000,
    "tilt-period": 1000,
}


class SentinelServer(RedisServer):
    """One sentinel; see `RedisServer`.

    Args:
        master: the port of the master to watch at first.
        config: further lines of its configuration.
    """

    arguments = ("--sentinel",)

    def __init__(self, master: int, **config: object) -> None:
        watched: dict[str, object] = {
            f"sentinel monitor {NAME} {HOST} {master}": QUORUM,
            f"sentinel down-after-milliseconds {NAME}": DOWN_AFTER,
            f"sentinel failover-timeout {NAME}": FAILOVER_TIMEOUT,
        }
        super().__init__(**(watched | config))
        self._hasten()

    def start(self, **config: object) -> Self:
        """Start it again, with what it knew when it ended."""
        super().start(**config)
        self._hasten()
        return self

    def ask(self, about: str) -> Any:
        """Run ``SENTINEL about NAME``."""
        return self.command("SENTINEL", about, NAME)

    def master(self) -> tuple[str, int]:
        """Return the address of the master that it names."""
        host, port = self.ask("GET-MASTER-ADDR-BY-NAME")
        return host.decode(), int(port)

    def knows_all(self, replicas: int) -> bool:
        """Tell whether it could hand over now: to one of so many replicas, with the others."""
        master, known = fields(self.ask("MASTER")), list(map(fields, self.ask("REPLICAS")))
        useful = [
            replica
            for replica in known
            if (replica["flags"], replica["master-link-status"]) == ("slave", "ok")
        ]
        return (
            master["flags"] == "master"
            and int(master["num-other-sentinels"]) == SENTINELS - 1
            and len(useful) == replicas
            # Else an error.
            and self.ask("CKQUORUM").startswith(b"OK")
        )

    def _hasten(self) -> None:
        for name, milliseconds in HASTE.items():
            with suppress(redis.ResponseError):
                self.command("SENTINEL", "DEBUG", name, milliseconds)

    def _write_configuration(self) -> None:
        # It keeps there what it finds out, so the file is its own as soon as it has run.
        if not self.pid:
            super()._write_configuration()


def fields(told: Any) -> dict[str, str]:
    """Read a map of the server, which older protocols send as a list."""
    pairs = told.items() if isinstance(told, dict) else zip(told[::2], told[1::2], strict=True)
    return {name.decode(): value.decode() for name, value in pairs}


class RedisSentinels:
    """A master, its replica and three sentinels that have found each other.

    The two servers keep nothing on disk: a master that was killed and started again before the
    sentinels noticed would come back empty, and empty its replica. So `restart` makes it a
    replica of who is the master by then; call `wait_for_failover` first.

    Args:
        config: further lines of the configuration of master and replica, as for `RedisServer`.
    """

    name = NAME

    def __init__(self, **config: object) -> None:
        named = {name.replace("_", "-"): value for name, value in config.items()}
        self.servers: list[RedisServer] = []
        self.sentinels: list[SentinelServer] = []
        self._before = (HOST, 0)  # the master that was there before a failover
        try:
            self._form(QUICK_REPLICATION | named)
        except BaseException:
            self.close()
            raise

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Addresses of the sentinels, those that are down too."""
        return [sentinel.address for sentinel in self.sentinels]

    @property
    def url(self) -> str:
        hosts = ",".join(f"{host}:{port}" for host, port in self.addresses)
        return f"redis+sentinel://{hosts}/{NAME}"

    @property
    def master(self) -> tuple[str, int]:
        """Address of the master of now, as a sentinel names it."""
        return self._answering()[0].master()

    @property
    def master_server(self) -> RedisServer:
        """The master of now itself."""
        return self._server(self.master)

    @property
    def replica_server(self) -> RedisServer:
        """The other one, be it up or down."""
        return next(server for server in self.servers if server.address != self.master)

    def kill_master(self) -> RedisServer:
        """End the master without a chance to do anything, and return it."""
        lost = self.master_server
        self._before = lost.address
        lost.kill()
        return lost

    def pause_master(self) -> RedisServer:
        """Stop the master from answering, its connections stay; and return it."""
        lost = self.master_server
        self._before = lost.address
        lost.pause()
        return lost

    def wait_for_failover(self, timeout: float = SECONDS_TO_FORM) -> tuple[str, int]:
        """Wait until there is another master than the one lost; return its address."""
        until(self._has_failed_over, timeout, self._state)
        self._before = self.master
        return self._before

    def restart(self) -> Self:
        """Start again what was killed, servers as replicas of the master of now."""
        for sentinel in self.sentinels:
            if not sentinel.running:
                sentinel.start()
        _, port = master = self.master
        for server in self.servers:
            server.config.pop("replicaof", None)
            if server.address != master:
                server.config["replicaof"] = f"{HOST} {port}"
            if not server.running:
                server.start()
        return self.wait_ok()

    def fresh(self) -> Self:
        """Make them whole and empty, for the next test; the master may be either server."""
        for server in (*self.servers, *self.sentinels):
            if server.paused:
                server.resume()
        self.restart()
        self.master_server.fresh()
        return self

    def wait_ok(self, timeout: float = SECONDS_TO_FORM) -> Self:
        """Wait until those that answer agree and could fail over, if there is a replica."""
        until(self._is_ok, timeout, self._state)
        self._before = self.master
        return self

    def close(self) -> None:
        """End all five and remove their folders."""
        for server in (*self.sentinels, *self.servers):
            server.close()

    def _server(self, address: tuple[str, int]) -> RedisServer:
        return next(server for server in self.servers if server.address == address)

    def _answering(self) -> list[SentinelServer]:
        found = [sentinel for sentinel in self.sentinels if sentinel.answers]
        if not found:
            raise RedisServerError("no sentinel answers")
        return found

    def _form(self, config: dict[str, object]) -> None:
        self.servers.append(master := RedisServer(**config))
        following = {"replicaof": f"{HOST} {master.port}"}
        self.servers.append(replica := RedisServer(**(config | following)))
        # The sentinels ask the master for its replicas when they start, then not so soon again.
        until(lambda: is_attached(replica, master), SECONDS_TO_FORM, replica.log)
        for _ in range(SENTINELS):
            self.sentinels.append(SentinelServer(master.port))
        self.wait_ok()

    def _agreed(self) -> RedisServer | None:
        """Return the server that all sentinels name and that takes itself for the master."""
        named = {sentinel.master() for sentinel in self._answering()}
        server = self._server(named.pop())
        agreed = not named and server.answers and server.command("ROLE")[0] == b"master"
        return server if agreed else None

    def _has_failed_over(self) -> bool:
        master = self._agreed()
        return master is not None and master.address != self._before

    def _is_ok(self) -> bool:
        master = self._agreed()
        if master is None:
            return False
        replicas = [server for server in self.servers if server.answers and server is not master]
        return all(is_attached(replica, master) for replica in replicas) and all(
            sentinel.knows_all(len(replicas)) for sentinel in self._answering()
        )

    def _state(self) -> str:
        """Describe what the sentinels see, for whoever waited for it in vain."""
        told = [str(fields(sentinel.ask("MASTER"))) for sentinel in self._answering()]
        return "\n".join((*told, self._answering()[0].log()))


def is_attached(replica: RedisServer, master: RedisServer) -> bool:
    """Tell whether a replica follows this master and has all of it."""
    role, *told = replica.command("ROLE")
    return bool(role == b"slave" and told[1:3] == [master.port, b"connected"])


@contextmanager
def running_sentinels(**config: object) -> Iterator[RedisSentinels]:
    """Run sentinels of one's own; see `RedisSentinels`."""
    sentinels = RedisSentinels(**config)
    try:
        yield sentinels
    finally:
        sentinels.close()


@functools.cache
def shared_sentinels() -> RedisSentinels:
    """Return the session's. Call their `fresh` first, which mends what a test broke."""
    return RedisSentinels()
