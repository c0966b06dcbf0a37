"""The face under test, for behaviour that both must show."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from faces import Caller

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(params=["blocking", "asyncio"])
def call(request: pytest.FixtureRequest) -> Iterator[Caller]:
    """Calls through one face; one event loop for all calls of a test."""
    if request.param == "blocking":
        yield Caller(None)
        return
    with asyncio.Runner() as runner:
        yield Caller(runner)
