"""`mox dkim …` against a name server of ours."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from mox.cli.arguments import find, parse
from mox.cli.command import Globals
from mox.cli.dkim import COMMANDS
from mox.errors import MoxError
from tests.config.texts import Files, at
from tests.mailauth.dkimkeys import ED25519, handmade, record
from tests.support.fakedns import FakeDNS

ZONE = {
    ("sel._domainkey.example.org", "TXT"): [f'"{record(ED25519)}"'],
    ("strict._domainkey.example.org", "TXT"): [
        f'"{record(ED25519, "v=DKIM1; t=s:y; h=sha256; s=email; n=a note; ")}"'
    ],
    ("revoked._domainkey.example.org", "TXT"): ['"v=DKIM1; p="'],
    ("slow._domainkey.example.org", "TXT"): ["SERVFAIL"],
}


class Ran(NamedTuple):
    status: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def server() -> Iterator[FakeDNS]:
    with FakeDNS(dict(ZONE), authentic=True) as server:
        yield server


@pytest.fixture
def run(
    server: FakeDNS, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Run:
    """Run a command in this process; what leaves it as an error is in `err`."""
    monkeypatch.setenv("MOX_DNS_SERVER", server.server)

    def run(*words: str | Path, stdin: str = "", config: Path = Path("none")) -> Ran:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        command, rest = find(COMMANDS, ["dkim", *map(str, words)])
        args = parse(command, rest)
        args.globals = Globals(config, None, False)
        try:
            status, raised = command.run(args), ""
        except MoxError as e:
            status, raised = 1, str(e)
        captured = capfdbinary.readouterr()
        return Ran(status, captured.out.decode(), captured.err.decode() + raised)

    return run


@pytest.fixture
def message(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(octets: bytes) -> Path:
        path = tmp_path / "message"
        path.write_bytes(octets)
        return path

    return write


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("gened25519", r'\t"v=DKIM1;h=sha256;k=ed25519;p=[A-Za-z0-9+/]{43}="\n'),
        ("genrsa", r'\t\(\n\t\t"v=DKIM1;h=sha256;p=[A-Za-z0-9+/]{81}"\n(\t\t"\S+"\n){3,4}\t\)\n'),
    ],
)
def test_new_key_has_a_record(run: Run, command: str, expected: str) -> None:
    pem = run(command).out
    assert pem.startswith("-----BEGIN PRIVATE KEY-----\n")
    assert pem.endswith("\n-----END PRIVATE KEY-----\n")
    ran = run("txt", stdin=pem)
    assert re.fullmatch(r"<selector>\._domainkey\.<domain>\.\tTXT" + expected, ran.out)


def test_txt_without_key_says_so(run: Run) -> None:
    assert run("txt", stdin="x") == (1, "", "standard input: not a private key in PKCS8 form")


def test_openssl_reads_our_key(run: Run, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(run("genrsa").out)
    text = subprocess.run(
        ["openssl", "rsa", "-in", tmp_path / "key", "-noout", "-text"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Private-Key: (2048 bit" in text.stdout


def test_lookup_prints_what_a_key_is_good_for(run: Run) -> None:
    assert run("lookup", "strict", "Example.ORG") == (
        0,
        "key record at strict._domainkey.example.org (with dnssec):\n"
        "key: ed25519, 256 bits\n"
        "hashes: sha256\n"
        "services: email\n"
        "only for addresses in the domain itself\n"
        "under test: messages that do not verify are as if unsigned\n"
        "notes: a note\n",
        "",
    )


@pytest.mark.parametrize(
    ("selector", "problem"),
    [
        ("revoked", "revoked._domainkey.example.org: key is revoked"),
        ("none", "none._domainkey.example.org: no key record"),
        ("slow", "looking up slow._domainkey.example.org: "),
        ("a b", "bad selector"),
    ],
)
def test_lookup_of_no_usable_key_fails(run: Run, selector: str, problem: str) -> None:
    ran = run("lookup", selector, "example.org")
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith(problem)


def test_verify_prints_each_signature(run: Run, message: Callable[[bytes], Path]) -> None:
    octets = handmade({"s": "no\x1b[31m", "x": "1"}, message=handmade())
    ran = run("verify", message(octets.replace(b"\n", b"\r\n")))
    assert ran.status == 0
    first, second = ran.out.splitlines()
    assert first.startswith("dkim=permerror d=example.org s=no?[31m a=ed25519-sha256: ")
    assert second == ("dkim=pass d=example.org s=sel a=ed25519-sha256 256 bits, with dnssec")


def test_verify_tells_when_nothing_is_good(run: Run, message: Callable[[bytes], Path]) -> None:
    ran = run("verify", message(handmade().replace(b"lines", b"LINES")))
    assert ran.status == 1
    assert ran.out.endswith(": body was changed\n")
    assert run("verify", message(b"From: x\n\n")) == (1, "dkim=none: no signature\n", "")


def test_verify_counts_what_it_does_not_look_at(run: Run, message: Callable[[bytes], Path]) -> None:
    octets = b"DKIM-Signature: x\n" * 13 + b"From: x\n\n"
    assert run("verify", message(octets)).out.endswith("\n3 more signatures are not looked at\n")


def test_sign_and_verify(
    run: Run, server: FakeDNS, files: Files, tmp_path: Path, message: Callable[[bytes], Path]
) -> None:
    pem = run("genrsa").out
    (tmp_path / "key.pem").write_text(pem)
    record_text = run("txt", stdin=pem).out.partition("TXT\t")[2]
    strings = re.findall(r'"[^"]*"', record_text)
    server.zone["a._domainkey.example.org", "TXT"] = [" ".join(strings)]
    files.dynamic.set(
        at("Domains/example.org/DKIM"),
        {"Selectors": {"a": {"PrivateKeyFile": "key.pem"}}, "Sign": ["a"]},
    )
    files.write()
    path = message(b"From: mjl@example.org\nSubject: x\n\nhello\n")
    ran = run("sign", path, config=files.path)
    assert ran.out.startswith("DKIM-Signature: v=1; d=example.org; s=a; i=mjl@example.org;")
    assert ran.out.endswith("\r\nFrom: mjl@example.org\r\nSubject: x\r\n\r\nhello\r\n")
    ran = run("verify", message(ran.out.encode()))
    assert ran.out == "dkim=pass d=example.org s=a a=rsa-sha256 2048 bits, with dnssec\n"


def test_sign_without_key_or_author_says_so(
    run: Run, files: Files, message: Callable[[bytes], Path]
) -> None:
    files.write()
    ran = run("sign", message(b"From: mjl@example.org\n\n"), config=files.path)
    assert ran.err.startswith("no selector signs for example.org")
    ran = run("sign", message(b"To: mjl@example.org\n\n"), config=files.path)
    assert ran.err == "message must have exactly one From header with one address"


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)
