"""Large files, many at once, and the limit on a message's size."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mox.message import parse
from mox.message.piecewise import decoded_pieces
from tests.support.server import Server, eventually
from tests.web.webapi.calls import Upload, Webapi, multipart
from tests.web.webapi.test_messages import Found

pytestmark = pytest.mark.e2e

LARGE = 25 << 20
FEW = 10 << 20
REQUEST = {"To": [{"Address": "x@large.example"}], "Text": "x"}


def in_a_week() -> str:
    return (datetime.now(UTC) + timedelta(days=7)).isoformat()


def resident(pid: int, field: str = "VmRSS") -> int:
    """Octets of memory, now or (VmHWM) at most since `forget_peak`."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(f"{field}:")[2].split()[0]) << 10


def forget_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def largest(directory: Path) -> bytes:
    """The content of the largest file; those of mailboxes are renamed when flags are shown."""
    found: list[bytes] = []

    def read() -> bool:
        with contextlib.suppress(FileNotFoundError):
            path = max(directory.iterdir(), key=lambda path: path.stat().st_size)
            found.append(path.read_bytes())
        return bool(found)

    eventually(read)
    return found[0]


@contextlib.contextmanager
def little_memory(server: Server) -> Iterator[None]:
    """What is done within makes no web worker grow by much, at any moment."""
    workers = server.workers("web")
    assert workers
    before = {pid: resident(pid) for pid in workers}
    for pid in workers:
        forget_peak(pid)
    yield
    grown = {pid: resident(pid, "VmHWM") - before[pid] for pid in workers}
    assert max(grown.values()) < FEW, grown


@pytest.mark.parametrize("save_sent", [False, True])
def test_a_file_of_25_mb_is_never_in_memory(
    webapi: Webapi, server: Server, save_sent: bool
) -> None:
    request = {
        **REQUEST,
        "Subject": "25 MB",
        "FutureRelease": in_a_week(),
        "SaveSent": save_sent,
    }
    # For what is loaded and kept at the first use.
    for _ in range(8):
        webapi.upload(request, [Upload("attachedfile", os.urandom(1 << 20))])
    content = os.urandom(LARGE)
    with little_memory(server):
        answer = webapi.upload(request, [Upload("attachedfile", content)])
    assert answer.status == 200, answer.body
    kept = [largest(server.directory / "queue")]
    if save_sent:
        kept.append(largest(server.maildir / ".Sent/cur"))
    for data in kept:
        attached = parse(data, wire=False).children[1]
        digest = hashlib.sha256()
        for piece in decoded_pieces(data, attached, wire=False):
            digest.update(piece)
        assert digest.digest() == hashlib.sha256(content).digest()
    server.run("queue", "drop", "-to", "x@large.example")


def test_a_message_of_25_mb_is_read_bit_by_bit(webapi: Webapi, server: Server) -> None:
    content = os.urandom(LARGE)
    message = (
        b"Subject: large to read\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n"
        b"text\r\n--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n%b"
        b"--b--\r\n" % base64.encodebytes(content).replace(b"\n", b"\r\n")
    )
    server.deliver(message, sender="large@remote.example")
    found = Found.of(webapi, server, "large to read")
    with little_memory(server):
        raw = webapi.call("MessageRawGet", {"MsgID": found.id}).body
        part = webapi.call("MessagePartGet", {"MsgID": found.id, "PartPath": [1]})
        shown = found.get()
    assert raw.endswith(message)
    assert part.body == content
    assert (shown["Message"]["Text"], shown["Meta"]["Size"]) == ("text", len(raw))
    assert shown["Structure"]["Parts"][1]["DecodedSize"] == LARGE
    webapi.ok("MessageDelete", {"MsgID": found.id})


def test_a_message_over_the_limit_is_refused_while_it_comes(webapi: Webapi) -> None:
    # Base64 makes four octets of three: over the limit of 100 MB, and before that the file's own.
    for size in (80 << 20, 101 << 20):
        answer = webapi.upload(REQUEST, [Upload("attachedfile", bytes(size))])
        assert answer.json == {"Code": "messageTooLarge", "Message": "message too large"}


def test_many_clients_with_one_key_send_one_message(webapi: Webapi, server: Server) -> None:
    request = {
        "To": [{"Address": "x@many.example"}],
        "Text": "x",
        "FutureRelease": in_a_week(),
    }
    count = 24

    def send(number: int) -> bytes:
        return webapi.call("Send", request, Idempotency_Key="many-at-once").body

    with ThreadPoolExecutor(count) as pool:
        answers = set(pool.map(send, range(count)))
    assert len(answers) == 1
    (answer,) = answers
    assert answer.startswith(b'{"MessageID":"<')
    listed = server.run("queue", "list", "-to", "x@many.example").stdout
    assert listed.count("x@many.example") == 1, listed
    server.run("queue", "drop", "-to", "x@many.example")


def test_files_that_nobody_sends_are_gone(webapi: Webapi, server: Server) -> None:
    body, content_type = multipart(REQUEST, [Upload("attachedfile", bytes(3 << 20))])
    answer = webapi.post("Send", body[:-40], content_type)
    assert answer.code == "protocol"
    eventually(lambda: not any((server.directory / "tmp").iterdir()))
