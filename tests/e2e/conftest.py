"""Running servers for the end-to-end tests; everything in this folder is marked `e2e`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import Server, eventually, running

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def _lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("lasting") / "mox") as server:
        yield server


@pytest.fixture
def shared(_lasting: Server) -> Server:
    """A server that is there for the whole session, with an empty queue and INBOX."""
    eventually(lambda: _lasting.queue_is_empty, 30)
    _lasting.empty("INBOX")
    return _lasting


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server of this test's own, for what others would notice."""
    with running(tmp_path / "mox") as server:
        yield server
