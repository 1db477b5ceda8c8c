"""`mox dane …`, `mox mtasts lookup`, `mox tlsrpt lookup` against servers on loopback."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from mox.cli import dane, mtasts, tlsrpt
from mox.cli.arguments import find, parse
from mox.errors import MoxError
from mox.tlspolicy.mtasts import Mode, format_policy
from tests.queue.peer import Peer
from tests.support.fakedns import FakeDNS, Mischief
from tests.support.policyserver import PolicyServer
from tests.tlsio.identities import authority, ec_key, identity

COMMANDS = [*dane.COMMANDS, *mtasts.COMMANDS, *tlsrpt.COMMANDS]
HOST = "mx.example.org"
SERVER = identity(HOST, key=ec_key(3))


def key_of(chain: bytes) -> bytes:
    key = x509.load_pem_x509_certificate(chain).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


RECORD = f"3 1 1 {hashlib.sha256(key_of(SERVER.chain_pem)).hexdigest()}"
OTHER = f"3 1 1 {'ab' * 32}"


class Ran(NamedTuple):
    status: int
    out: str
    err: str


class Shell:
    """Runs commands in this process, with DNS and servers of the test."""

    def __init__(
        self,
        dns: FakeDNS,
        stack: ExitStack,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self.dns = dns
        self.stack = stack
        self.monkeypatch = monkeypatch
        self._capsys = capsys

    def peer(self, **options: object) -> Peer:
        peer = self.stack.enter_context(Peer(**options))  # type: ignore[arg-type]
        self.monkeypatch.setenv("MOX_SMTP_PORT", str(peer.port))
        return peer

    def __call__(self, *words: str) -> Ran:
        command, rest = find(COMMANDS, words)
        try:
            status, raised = command.run(parse(command, rest)), ""
        except MoxError as e:
            status, raised = 1, str(e)
        captured = self._capsys.readouterr()
        return Ran(status, captured.out, captured.err + raised)


@pytest.fixture
def shell(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Shell]]:
    with ExitStack() as stack:

        def make(zone: dict[tuple[str, str], list[str]], *insecure: str) -> Shell:
            mischief = Mischief(insecure=set(insecure))
            dns = stack.enter_context(FakeDNS(zone, authentic=True, mischief=mischief))
            monkeypatch.setenv("MOX_DNS_SERVER", dns.server)
            return Shell(dns, stack, monkeypatch, capsys)

        yield make


def zone(*records: str) -> dict[tuple[str, str], list[str]]:
    found = {
        ("example.org", "MX"): [f"10 {HOST}."],
        (HOST, "A"): ["127.0.0.1"],
    }
    if records:
        found[(f"_25._tcp.{HOST}", "TLSA")] = list(records)
    return found


# ---- makerecord


@pytest.mark.parametrize("words", [("3", "1", "1"), ("dane-ee", "spki", "sha2-256")])
@pytest.mark.parametrize("kind", ["certificate", "private key", "public key"])
def test_record_for_a_key(
    shell: Callable[..., Shell], tmp_path: Path, words: tuple[str, ...], kind: str
) -> None:
    pem = {"certificate": SERVER.chain_pem, "private key": SERVER.key_pem}.get(kind)
    if pem is None:
        key = load_pem_private_key(SERVER.key_pem, None).public_key()
        pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "pem").write_bytes(pem)
    ran = shell({})("dane", "makerecord", *words, str(tmp_path / "pem"))
    assert ran == (0, RECORD + "\n", "")


def test_record_for_a_certificate(shell: Callable[..., Shell], tmp_path: Path) -> None:
    (tmp_path / "pem").write_bytes(authority().pem)
    der = authority().cert.public_bytes(Encoding.DER)
    run = shell({})
    name = str(tmp_path / "pem")
    assert run("dane", "makerecord", "2", "0", "0", name).out == f"2 0 0 {der.hex()}\n"
    digest = hashlib.sha512(der).hexdigest()
    assert run("dane", "makerecord", "dane-ta", "cert", "2", name).out == f"2 0 2 {digest}\n"


@pytest.mark.parametrize(
    ("words", "pem", "error"),
    [
        (("4", "1", "1"), SERVER.chain_pem, "unknown usage"),
        (("3", "2", "1"), SERVER.chain_pem, "unknown selector"),
        (("3", "1", "sha1"), SERVER.chain_pem, "unknown matching type"),
        (("3", "0", "1"), SERVER.key_pem, "this is a key"),
        (("3", "1", "1"), b"hello", "not a certificate or key"),
    ],
)
def test_record_that_cannot_be_made(
    shell: Callable[..., Shell],
    tmp_path: Path,
    words: tuple[str, ...],
    pem: bytes,
    error: str,
) -> None:
    (tmp_path / "pem").write_bytes(pem)
    ran = shell({})("dane", "makerecord", *words, str(tmp_path / "pem"))
    assert ran.status == 1
    assert error in ran.err


# ---- dialmx


def test_mail_hosts_that_are_verified(shell: Callable[..., Shell]) -> None:
    run = shell(zone(OTHER, RECORD))
    peer = run.peer(identity=SERVER)
    ran = run("dane", "dialmx", "-ehlohostname", "me.example", "example.org")
    assert ran.status == 0
    assert ran.out.splitlines() == [
        "example.org: MX records (with dnssec)",
        "",
        f"{HOST}:",
        "  addresses (with dnssec)",
        *sorted(f"  _25._tcp.{HOST} TLSA {record}" for record in (RECORD, OTHER)),
        "  connected to 127.0.0.1",
        "  TLS agreed",
        f"  verified by TLSA record {RECORD}",
        "  public authorities: certificate-not-trusted",
    ]
    assert peer.lines[-1] == "QUIT"
    assert peer.lines[0] == "EHLO me.example"


@pytest.mark.parametrize(
    ("records", "insecure", "identity_", "line"),
    [
        ([OTHER], (), SERVER, "failed: "),
        ([RECORD], (HOST,), SERVER, "no DANE: not everything was validated"),
        ([RECORD], (), None, "failed: "),
        ([], (), None, "STARTTLS is not offered"),
        (["1 1 1 " + "ab" * 32], (), SERVER, "(not usable)"),
    ],
)
def test_mail_hosts_that_are_not(
    shell: Callable[..., Shell],
    records: list[str],
    insecure: tuple[str, ...],
    identity_: object,
    line: str,
) -> None:
    run = shell(zone(*records), *insecure)
    run.peer(identity=identity_, script={} if identity_ else {"STARTTLS": ["502 no"]})
    ran = run("dane", "dialmx", "example.org", HOST)
    assert ran.status == 1
    assert line in ran.out


def test_domain_without_mail(shell: Callable[..., Shell]) -> None:
    assert (
        "no such domain"
        in shell({("x.example", "A"): ["127.0.0.1"]})("dane", "dialmx", "example.net").err
    )


# ---- dial


def test_port_with_tls_at_once(shell: Callable[..., Shell]) -> None:
    run = shell(zone())
    peer = run.peer(identity=SERVER, implicit_tls=True)
    run.dns.zone[(f"_{peer.port}._tcp.{HOST}", "TLSA")] = [RECORD]
    ran = run("dane", "dial", f"{HOST}:{peer.port}")
    assert (ran.status, ran.err) == (0, "")
    assert f"verified by TLSA record {RECORD}" in ran.out
    ran = run("dane", "dial", "-usages", "dane-ta", f"{HOST}:{peer.port}")
    assert ran.status == 1
    assert "no TLSA record" in ran.err
    run.dns.zone[(f"_{peer.port}._tcp.{HOST}", "TLSA")] = [OTHER]
    ran = run("dane", "dial", f"{HOST}:{peer.port}")
    assert ran.status == 1
    assert "no TLSA record matches" in ran.err


@pytest.mark.parametrize("words", [("example.org",), ("example.org:x",), ("-usages", "2,7", "a:1")])
def test_wrong_arguments(shell: Callable[..., Shell], words: tuple[str, ...]) -> None:
    assert shell({})("dane", "dial", *words).status == 1


# ---- mtasts, tlsrpt


def serve(run: Shell, body: str) -> PolicyServer:
    server = PolicyServer(identity("mta-sts.example.org", signed=True), body)
    run.stack.enter_context(server)
    run.monkeypatch.setenv("MOX_HTTPS_PORT", str(server.port))
    return server


def test_policy_is_shown(
    shell: Callable[..., Shell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = shell(
        {
            ("_mta-sts.example.org", "TXT"): ['"v=STSv1; id=7"'],
            ("mta-sts.example.org", "A"): ["127.0.0.1"],
        }
    )
    (tmp_path / "ca.pem").write_bytes(authority().pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    server = serve(run, format_policy(Mode.TESTING, ("mx.example.org",), 86400))
    ran = run("mtasts", "lookup", "example.org")
    assert ran == (
        0,
        "record (with dnssec): v=STSv1; id=7\npolicy:\n  version: STSv1\n  mode: testing\n"
        "  mx: mx.example.org\n  max_age: 86400\n",
        "",
    )
    server.body = "what\x1b[2J?"
    ran = run("mtasts", "lookup", "example.org")
    assert (ran.status, "not usable" in ran.err, "\x1b" in ran.out + ran.err) == (1, True, False)
    server.status = "404 Not Found"
    ran = run("mtasts", "lookup", "example.org")
    assert (ran.status, "404" in ran.err) == (1, True)


@pytest.mark.parametrize(
    ("texts", "error"),
    [
        (None, "has no MTA-STS record"),
        (['"v=STSv1; what"'], "field that cannot be read"),
        (["SERVFAIL"], "_mta-sts.example.org"),
    ],
)
def test_domain_without_policy(
    shell: Callable[..., Shell], texts: list[str] | None, error: str
) -> None:
    records = {("example.org", "A"): ["127.0.0.1"]}
    if texts:
        records[("_mta-sts.example.org", "TXT")] = texts
    ran = shell(records)("mtasts", "lookup", "example.org")
    assert ran.status == 1
    assert error in ran.err


def test_addresses_for_reports_are_shown(shell: Callable[..., Shell]) -> None:
    run = shell(
        {("_smtp._tls.example.org", "TXT"): ['"v=TLSRPTv1; rua=mailto:a@b.example,https://c/"']},
        "_smtp._tls.example.org",
    )
    ran = run("tlsrpt", "lookup", "example.org")
    assert ran == (
        0,
        "record (without dnssec): v=TLSRPTv1; rua=mailto:a@b.example,https://c/\n"
        "reports to mailto:a@b.example\nreports to https://c/\n",
        "",
    )
    assert "has no TLSRPT record" in run("tlsrpt", "lookup", "example.net").err
