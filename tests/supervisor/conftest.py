"""Fixtures for the tests of the supervisor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.supervisor.supervised import Server


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def make(**values: Any) -> Server:
        server = Server(tmp_path, **values)
        servers.append(server)
        return server

    yield make
    for server in servers:
        server.end()
