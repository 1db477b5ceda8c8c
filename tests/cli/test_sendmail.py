"""`mox sendmail`: what cron and scripts give it, and what is submitted."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mox.cli import sendmail
from mox.cli.sendmail import compose, read_flags
from mox.config import ConfigErrors
from mox.config.describe import describe_submit
from mox.config.submit import SubmitConfig, load_submit
from mox.errors import UserError
from mox.store.tlskeys import TlsKey, add_key
from mox.tlsio.clientkey import ed25519_identity
from tests.smtpd.conftest import make_site  # noqa: F401
from tests.smtpd.harness import PASSWORD, Site
from tests.tlsio.identities import identity

CONFIG = """\
LocalHostname: host.example.org
Host: 127.0.0.1
Port: {port}
TLS: false
STARTTLS: {starttls}
TLSInsecureSkipVerify: true
Username: mjl@example.org
Password: {password}
AuthMethod:
From: mjl@example.org
DefaultDestination: admin@there.example
"""


def parsed(tmp_path: Path, text: str) -> SubmitConfig:
    path = tmp_path / "moxsubmit.conf"
    path.write_text(text)
    return load_submit(path)


@pytest.fixture
def config(tmp_path: Path) -> SubmitConfig:
    return parsed(tmp_path, CONFIG.format(port=587, starttls="true", password="secret"))


@pytest.mark.parametrize(
    ("words", "content", "recipient", "message"),
    [
        # As cron calls it.
        (
            ["-FCronDaemon", "-i", "-odi", "-oem", "-oi", "-t", "-f", "root"],
            b"From: root (Cron Daemon)\nTo: root\nSubject: Cron\n\nout\n.\nput\n",
            "admin@there.example",
            b"From: CronDaemon <mjl@example.org>\r\nTo: root\r\nSubject: Cron\r\n\r\n"
            b"out\r\n.\r\nput\r\n",
        ),
        # A dot ends it, unless told otherwise; bodies without header are fine.
        (
            ["you@there.example"],
            b"hello\n.\nignored\n",
            "you@there.example",
            b"From: mjl@example.org\r\nTo: you@there.example\r\n\r\nhello\r\n",
        ),
        (
            ["-t"],
            b"To: You\n <you@there.example>\r\nBcc: x@x.example\r\nFROM: evil@x.example\r\n\r\nhi",
            "you@there.example",
            b"From: mjl@example.org\r\nTo: You\r\n <you@there.example>\r\n\r\nhi\r\n",
        ),
        (["--", "root"], b"", "admin@there.example", b"From: mjl@example.org\r\n"),
    ],
)
def test_message(
    config: SubmitConfig, words: list[str], content: bytes, recipient: str, message: bytes
) -> None:
    found, composed = compose(config, read_flags(words), content)
    assert found == recipient
    assert composed.startswith(message)


@pytest.mark.parametrize(
    ("words", "content"),
    [([], b"hi\n"), (["a@a.example", "b@b.example"], b"hi\n"), (["-t"], b"To: a@a.x, b@b.x\n\n")],
)
def test_one_recipient_is_needed(config: SubmitConfig, words: list[str], content: bytes) -> None:
    with pytest.raises(UserError, match="one recipient"):
        compose(config, read_flags(words), content)


def test_all_errors_of_the_configuration_are_told(tmp_path: Path) -> None:
    text = CONFIG.format(port=587, starttls="true", password="x")
    text = text.replace("TLS: false", "TLS: true", 1).replace("From: mjl@example.org", "From: mjl")
    text += "RequireTLS: maybe\nClientAuthEd25519PrivateKey: abc\n"
    with pytest.raises(ConfigErrors) as errors:
        parsed(tmp_path, text)
    for name in ("STARTTLS", "From", "RequireTLS", "ClientAuthEd25519PrivateKey"):
        assert name in str(errors.value)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., int]]:
    """Run the command with a message on standard input; its home is in `tmp_path`."""

    def run(
        port: int,
        *words: str,
        starttls: bool = False,
        password: str = PASSWORD,
        login: str = "",
    ) -> int:
        path = tmp_path / "moxsubmit.conf"
        text = CONFIG.format(port=port, starttls=str(starttls).lower(), password=password)
        path.write_text(text.replace(f"Password: {password}\n", login) if login else text)
        monkeypatch.setenv(sendmail.CONFIG_VARIABLE, str(path))
        monkeypatch.setenv("HOME", str(tmp_path))
        stdin = SimpleNamespace(buffer=io.BytesIO(b"Subject: job\n\nouch\n"))
        monkeypatch.setattr("sys.stdin", stdin)
        return sendmail._run(SimpleNamespace(words=list(words)))  # type: ignore[arg-type]

    yield run


@pytest.mark.parametrize("tls", [False, True])
def test_message_is_submitted(
    make_site: Callable[..., Site],  # noqa: F811
    run: Callable[..., int],
    tls: bool,
) -> None:
    site = make_site(tls=tls)
    site.set_password()
    assert run(site.port("submission"), "-i", "root", starttls=tls) == 0
    [msg] = site.queued()
    assert (msg.recipient.localpart, msg.recipient.ascii) == ("admin", "there.example")
    assert msg.subject == "job"
    assert site.outgoing.read(msg).startswith(
        b"From: mjl@example.org\nTo: admin@there.example\nSubject: job\n"
    )


SEED = base64.urlsafe_b64encode(bytes(range(32))).decode().rstrip("=")


def as_file(tmp_path: Path) -> str:
    own = identity("client.example")
    (tmp_path / "client.pem").write_bytes(own.key_pem + own.chain_pem)
    return f"ClientAuthCertPrivateKeyPEMFile: {tmp_path}/client.pem\n"


@pytest.mark.parametrize("kind", ["seed", "file"])
def test_message_is_submitted_with_a_client_certificate(
    make_site: Callable[..., Site],  # noqa: F811
    run: Callable[..., int],
    tmp_path: Path,
    kind: str,
) -> None:
    site = make_site(tls=True)
    site.ctx.store.account("mjl")
    own = ed25519_identity(SEED) if kind == "seed" else identity("client.example")
    der = x509.load_pem_x509_certificate(own.chain_pem).public_bytes(Encoding.DER)
    key = TlsKey(
        account="mjl", login_address="mjl@example.org", name="", created=0, certificate=der
    )
    line = f"ClientAuthEd25519PrivateKey: {SEED}\n" if kind == "seed" else as_file(tmp_path)
    assert run(site.port("submission"), "root", starttls=True, login=line) == 1
    add_key(site.ctx.store, key)
    assert run(site.port("submission"), "root", starttls=True, login=line) == 0
    assert len(site.queued()) == 1


@pytest.mark.parametrize(
    ("login", "starttls", "problem"),
    [
        ("", "true", "Password: needed to log in"),
        (f"Password: x\nClientAuthEd25519PrivateKey: {SEED}\n", "true", "together with Password"),
        (f"ClientAuthEd25519PrivateKey: {SEED}\n", "false", "needs TLS or STARTTLS"),
        (f"ClientAuthEd25519PrivateKey: {SEED}\nAuthMethod: PLAIN\n", "true", "does not work with"),
        ("Password: x\nAuthMethod: EXTERNAL\n", "true", "does not work with a password"),
    ],
)
def test_there_is_one_way_to_log_in(
    tmp_path: Path, login: str, starttls: str, problem: str
) -> None:
    text = CONFIG.format(port=587, starttls=starttls, password="x")
    text = text.replace("Password: x\n", login)
    if "AuthMethod: " in login:
        text = text.replace("AuthMethod:\n", "")
    with pytest.raises(ConfigErrors, match=problem):
        parsed(tmp_path, text)


def test_what_cannot_be_submitted_is_kept(
    make_site: Callable[..., Site],  # noqa: F811
    run: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    site = make_site()
    site.set_password()
    assert run(site.port("submission"), "root", password="wrong password") == 1
    assert run(1, "root") == 1
    kept = list((tmp_path / "moxsubmit.failures").iterdir())
    assert {path.read_bytes() for path in kept} == {b"Subject: job\n\nouch\n"}
    assert len(kept) == 2
    errors = capsys.readouterr().err
    assert all(str(path) in errors for path in kept)
    assert site.queued() == []


def test_all_fields_are_described() -> None:
    text = describe_submit()
    for name in ("LocalHostname:", "TLSInsecureSkipVerify:", "DefaultDestination:", "RequireTLS:"):
        assert f"\n{name}" in text
