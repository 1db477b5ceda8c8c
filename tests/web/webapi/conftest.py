"""One localserve for all tests that call its webapi; each uses addresses of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import Server
from tests.web.webapi.calls import Webapi, webapi_of

FROM_ID_USER = "mox+tx@localhost"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory: Path = tmp_path_factory.mktemp("webapi") / "server"
    running = Server(directory)
    running.init()
    running.edit(
        "domains.conf",
        "\tmox:\n",
        f"\tmox:\n\t\tFullName: Mox User\n\t\tFromIDLoginAddresses:\n\t\t\t- {FROM_ID_USER}\n",
    )
    running.start()
    yield running
    running.stop()


@pytest.fixture
def webapi(server: Server) -> Webapi:
    return webapi_of(server)


@pytest.fixture
def from_id_webapi(server: Server) -> Webapi:
    return webapi_of(server, FROM_ID_USER)
