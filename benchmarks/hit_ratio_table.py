"""Markdown table of stored hit ratios, as `bench_hit_ratio.py` writes them."""

from __future__ import annotations

from typing import Any

HEAD = """| stream | capacity | LRU | S3-FIFO | optimum |
| --- | --- | --- | --- | --- |"""


def report(figures: dict[str, Any]) -> str:
    """Return the table, the better one of the two policies in bold."""
    title = f"{figures['length']:,} requests for {figures['universe']:,} keys."
    return "\n".join([title, "", HEAD, *(_line(row) for row in figures["rows"])]) + "\n"


def _line(row: dict[str, Any]) -> str:
    best = max(row["lru"], row["s3fifo"])
    shown = [f"{row[name]:.3f}" for name in ("lru", "s3fifo")]
    lru, s3fifo = (
        f"**{text}**" if row[name] == best and row["lru"] != row["s3fifo"] else text
        for text, name in zip(shown, ("lru", "s3fifo"), strict=True)
    )
    capacity = f"{row['capacity']:,} ({row['share']:.0%})"
    return f"| {row['stream']} | {capacity} | {lru} | {s3fifo} | {row['optimum']:.3f} |"
