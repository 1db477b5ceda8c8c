"""`mox webapi` against a server that answers what the test says."""

from __future__ import annotations

import os
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mox.webapi.hooks import Incoming, Outgoing
from mox.webapi.methods import METHODS
from mox.webapi.receiver import decode_payload
from tests.support.server import MOX
from tests.tlsio.identities import identity
from tests.webapi.fakeserver import JSON, FakeServer, fake_server

pytestmark = pytest.mark.e2e


def mox(*words: str, stdin: str = "", url: str = "") -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if name != "MOXWEBAPI"}
    if url:
        env["MOXWEBAPI"] = url
    return subprocess.run(
        [str(MOX), "webapi", *words],
        env=env,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    with fake_server() as fake:
        yield fake


@pytest.fixture
def url(fake: FakeServer) -> str:
    return fake.url.replace("//", "//mox%40localhost:moxmoxmox@")


def test_methods_are_listed() -> None:
    done = mox()
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == [*METHODS]


def test_a_method_is_explained() -> None:
    done = mox("Send")
    assert done.returncode == 0
    assert done.stdout.startswith("Send: Compose a message")
    assert '"Address": "ada@example.org"' in done.stdout
    assert "SendRequest.SaveSent, boolean: Keep a copy" in done.stdout
    assert '"QueueMsgID": 7' in done.stdout
    assert "(the content itself)" in mox("MessageRawGet").stdout


@pytest.mark.parametrize("form", ["stdin", "dash", "argument", "environment"])
def test_a_call(fake: FakeServer, url: str, form: str) -> None:
    fake.answers = [(200, JSON, b'{"Present":true}\n')]
    request = '{"EmailAddress":"é@example.org"}'
    done = {
        "stdin": lambda: mox("SuppressionPresent", url, stdin=request),
        "dash": lambda: mox("SuppressionPresent", "-", stdin=request, url=url),
        "argument": lambda: mox("SuppressionPresent", url, request),
        "environment": lambda: mox("SuppressionPresent", request, url=url),
    }[form]()
    assert (done.returncode, done.stdout, done.stderr) == (0, '{"Present":true}\n', "")
    [call] = fake.calls
    assert call.path == "/webapi/v0/SuppressionPresent"
    assert call.fields == [({"name": "request"}, request.encode())]
    assert call.headers["Authorization"] == "Basic bW94QGxvY2FsaG9zdDptb3htb3htb3g="


def test_files_and_a_key_go_along(fake: FakeServer, url: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")
    (tmp_path / "b.png").write_bytes(b"\x89PNG")
    words = ["-attachedfile", str(tmp_path / "a.txt"), "-attachedfile", str(tmp_path / "b.png")]
    done = mox("Send", url, "{}", *words, "-idempotencykey", "k1")
    assert done.returncode == 0, done.stderr
    [call] = fake.calls
    assert call.headers["Idempotency-Key"] == "k1"
    sent = [(fields["name"], fields["filename"], content) for fields, content in call.fields[1:]]
    assert sent == [
        ("attachedfile", "a.txt", b"hello"),
        ("attachedfile", "b.png", b"\x89PNG"),
    ]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["Sned"], "no method 'Sned'; they are: MessageDelete, "),
        (["Send", "{}"], "MOXWEBAPI"),
        (["Send", "example.org", "{}"], "neither a URL"),
        (["Send", "https://example.org/", "{}"], "address and the password"),
        (["Send", "http://u@h:p@127.0.0.1:1/", "{}"], "no connection to 127.0.0.1 port 1"),
        (["MessageGet", "http://u@h:p@h/", "-attachedfile", "x", "{}"], "files and an idem"),
        (["Send", "http://u@h:p@h/", "-attachedfile", "/nonexistent", "{}"], "/nonexistent"),
        (["Send", "http://u@h:p@h/", "-cacert", "/dev/null", "{}"], "no certificates"),
        (["Send", "http://u@h:p@h/", "-cacert", "/nonexistent", "{}"], "No such file"),
    ],
)
def test_mistakes_say_what_to_do(words: list[str], says: str) -> None:
    done = mox(*words)
    assert (done.returncode, done.stdout) == (1, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_errors_of_the_server(fake: FakeServer, url: str) -> None:
    fake.answers = [
        (400, JSON, b'{"Code":"messageNotFound","Message":"message not found"}'),
        (401, "text/plain", b"401 - unauthorized"),
    ]
    done = mox("MessageGet", url, '{"MsgID":1}')
    assert (done.returncode, done.stderr) == (1, "messageNotFound: message not found\n")
    done = mox("MessageGet", url, '{"MsgID":1}')
    assert done.returncode == 1
    assert "The user is mox@localhost" in done.stderr


def test_examples_of_webhooks() -> None:
    def example(*words: str) -> subprocess.CompletedProcess[str]:
        words = (str(MOX), "example", *words)
        return subprocess.run(words, capture_output=True, text=True, timeout=60)

    names = example().stdout.split()
    assert names == [
        "webhook-outgoing-delivered",
        "webhook-outgoing-dsn-failed",
        "webhook-incoming-basic",
    ]
    for name in names:
        payload = decode_payload(example(name).stdout.encode())
        assert isinstance(payload, Incoming if "incoming" in name else Outgoing)
    assert "no example 'x'; they are: webhook-" in example("x").stderr


def test_a_certificate_is_trusted_by_name(tmp_path: Path) -> None:
    known = identity("localhost")
    (tmp_path / "key.pem").write_bytes(known.key_pem + known.chain_pem)
    (tmp_path / "ca.pem").write_bytes(known.chain_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "key.pem")
    with fake_server(context) as fake:
        fake.answers = [(200, JSON, b'{"Suppressions":[]}\n')]
        url = fake.url.replace("//127.0.0.1", "//mox%40localhost:moxmoxmox@localhost")
        done = mox("SuppressionList", url, "{}")
        assert done.returncode == 1
        assert "-cacert names a file" in done.stderr
        done = mox("SuppressionList", url, "{}", "-cacert", str(tmp_path / "ca.pem"))
        assert (done.returncode, done.stdout) == (0, '{"Suppressions":[]}\n'), done.stderr


def test_octets_are_written_as_they_are(fake: FakeServer, url: str) -> None:
    content = bytes(range(256)) * 1000
    fake.answers = [(200, "application/octet-stream", content)]
    words = [str(MOX), "webapi", "MessageRawGet", url, '{"MsgID":1}']
    assert subprocess.run(words, capture_output=True, check=True, timeout=60).stdout == content
