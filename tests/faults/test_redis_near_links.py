"""The link of a near cache is cut, again and again: how late are its reads then?"""

from __future__ import annotations

from itertools import cycle, islice
from random import Random
from typing import TYPE_CHECKING

import pytest

from memory_checks import LONG
from near_board import TRUSTED
from near_links import wait_linked
from near_load import (
    LATE,
    LINKED,
    NearLoad,
    clients_of,
    foreign_writer,
    links_of,
    share_of_hits,
    wait_relinked,
)
from near_proxy import LinkProxy, running_link_proxy
from redis_load import threads_left
from redis_servers import RedisServer, patient, running_server
from symphra_cache import CacheManager
from symphra_cache.backends import NearCache, RedisBackend

if TYPE_CHECKING:
    from pathlib import Path

CUTS = 50 if LONG else 5
READS = 200_000 if LONG else 20_000
SECONDS = 1.2 if LONG else 0.5  # between two cuts, at the most
# Where nobody hears of it: neither end; the server, and the client no more.
SILENT = ("swallowed", "deaf")
KINDS = ("reset", "killed", SILENT[0], "reset", SILENT[1])

pytestmark = pytest.mark.timeout(600)


def cut(kind: str, server: RedisServer, proxy: LinkProxy) -> None:
    """Break the link, and nothing else."""
    if kind == "reset":
        proxy.reset_link()
    elif kind == "killed":
        (link,) = [each for each in clients_of(server) if "B" in each["flags"]]
        assert server.command("CLIENT", "KILL", "ID", link["id"]) == 1
    else:
        proxy.swallow(replies_alone=kind == "deaf")


def test_reads_are_late_for_a_moment_only_however_often_the_link_is_cut(tmp_path: Path) -> None:
    chance = Random(1)
    took: dict[str, list[float]] = {kind: [] for kind in KINDS}
    with (
        running_server() as server,
        running_link_proxy(server.address) as proxy,
        foreign_writer(patient(server.url), tmp_path / "board") as board,
    ):
        backend = RedisBackend(patient(proxy.url), near_cache=NearCache())
        with CacheManager(backend) as cache:
            wait_linked(backend)
            with NearLoad(cache, board) as load:
                hits = share_of_hits(load, [server], 1.0)
                for kind in islice(cycle(KINDS), CUTS):
                    load.phase, before = kind, links_of(backend)
                    cut(kind, server, proxy)
                    took[kind].append(wait_relinked(backend, load, before))
                    load.phase = LINKED
                    load.run(chance.uniform(0.1, SECONDS))  # at any time since the last question
                load.wait(lambda: load.reads >= READS)
                hits_after = share_of_hits(load, [server], 1.0)
            seen = load.seen
    print(f"\n{load.reads} reads, {sum(board.begun)} foreign writes, {CUTS} cuts; near hits "
          f"{hits:.1%}, {hits_after:.1%} in the end")  # fmt: skip
    for phase, what in seen.items():
        print(
            f"{phase}: {what.reads} reads, at most {what.worst:.4f} s late, {what.late} by more "
            f"than {LATE}; linked again within {max(took.get(phase, [0])):.3f} s"
        )
    assert min(hits, hits_after) > 0.5
    assert seen[LINKED].late <= seen[LINKED].reads / 100
    # Nobody tells of these, so the near cache can't have known: else nothing was cut here.
    assert max(seen[kind].worst for kind in SILENT) > TRUSTED / 10
    assert not threads_left()
