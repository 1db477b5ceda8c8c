"""A full disk: calls get a temporary error in JSON, nothing is sent, and it passes by itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.confined import ConfinedServer, confined
from tests.support.server import eventually
from tests.web.webapi.calls import Upload, webapi_of

pytestmark = pytest.mark.e2e

MB = 1 << 20
REQUEST = {"To": [{"Address": "x@full.example"}], "Text": "x", "Subject": "on a full disk"}


def fill(directory: Path, left: int) -> None:
    """Take the space of a file system, all but so many octets."""
    status = os.statvfs(directory)
    with open(directory / "filler", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, status.f_bavail * status.f_frsize - left)


def test_a_full_disk_is_a_temporary_error(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    with confined() as confinement:
        confinement.tmpfs(disk, 40 * MB)
        server = ConfinedServer(confinement, disk / "mox", tmp_path / "mox.log")
        server.start(wait=False)
        try:
            server.wait()
            webapi = webapi_of(server)
            webapi.ok("SuppressionList")
            outside = confinement.outside(disk)
            fill(outside, 2 * MB)
            uploads = [Upload("attachedfile", os.urandom(4 * MB))]
            for _ in range(3):
                answer = webapi.upload(REQUEST, uploads)
                assert answer.code == "server"
                assert answer.json["Message"] == "no space left for messages, try again later"
            assert server.queue_is_empty
            eventually(lambda: not any((server.directory / "tmp").iterdir()))
            (outside / "filler").unlink()
            fill(outside, 0)
            small = webapi.call("Send", REQUEST, Idempotency_Key="full")
            assert small.code == "server"
            assert webapi.call("SuppressionList").status == 200
            (outside / "filler").unlink()
            assert webapi.upload(REQUEST, uploads).status == 200
            webapi.ok("Send", REQUEST, Idempotency_Key="full")
        finally:
            server.stop()
