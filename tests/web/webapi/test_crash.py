"""A crash between the answer and its repetition: a key stands for the same message afterwards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.server import Server
from tests.web.webapi.calls import webapi_of

pytestmark = pytest.mark.e2e


def test_a_key_has_its_answer_after_a_crash_and_a_restart(tmp_path: Path) -> None:
    server = Server(tmp_path / "server")
    later = (datetime.now(UTC) + timedelta(days=7)).isoformat()
    request = {"To": [{"Address": "x@crash.example"}], "Text": "x", "FutureRelease": later}
    server.start()
    try:
        webapi = webapi_of(server)
        first = webapi.ok("Send", request, Idempotency_Key="crash")
        server.kill_group()
        server.start()
        webapi = webapi_of(server)
        assert webapi.ok("Send", request, Idempotency_Key="crash") == first
        server.stop()
        server.start()
        webapi = webapi_of(server)
        assert webapi.ok("Send", request, Idempotency_Key="crash") == first
        assert webapi.call("Send", request | {"Text": "y"}, Idempotency_Key="crash").code == (
            "idempotencyKeyReused"
        )
        assert server.run("queue", "list").stdout.count("x@crash.example") == 1
    finally:
        server.stop()
