"""The program as it is run: usage, exit statuses, localserve's directory."""

from __future__ import annotations

import resource
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509

import mox
from mox.config import load as load_config
from mox.tlsio.clientkey import ed25519_identity, file_identity
from mox.tlsio.identity import load
from tests.support.server import MOX
from tests.tlsio.identities import identity

pytestmark = pytest.mark.e2e
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def run(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(MOX), *words],
            cwd=tmp_path,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run


def test_no_command_prints_the_list(run: Run) -> None:
    result = run()
    assert result.returncode == 2
    assert result.stdout == ""
    for words in ("serve", "localserve", "stop", "config test", "reindex", "version"):
        assert f"  mox {words}" in result.stderr


def test_a_prefix_prints_its_commands(run: Run) -> None:
    result = run("config")
    assert result.returncode == 2
    assert "usage: mox config test" in result.stderr
    assert "serve" not in result.stderr


def test_version(run: Run) -> None:
    result = run("version")
    assert result.returncode == 0
    assert result.stdout.splitlines()[0] == mox.__version__


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), "usage: mox"),
        (("serve",), "SIGUSR2"),
        (("config",), "mox config test"),
        (("setaccountpassword",), "standard input"),
    ],
)
def test_help(run: Run, words: tuple[str, ...], expected: str) -> None:
    result = run("help", *words)
    assert result.returncode == 0
    assert expected in result.stdout


def test_a_missing_configuration_is_named_without_a_traceback(run: Run, tmp_path: Path) -> None:
    for command in ("serve", "stop"):
        result = run("-config", "nowhere/mox.conf", command)
        assert result.returncode == 1
        assert str(tmp_path / "nowhere/mox.conf") in result.stderr
        assert "Traceback" not in result.stderr


def test_initonly_writes_a_configuration_that_loads(run: Run, tmp_path: Path) -> None:
    directory = tmp_path / "server"
    result = run("localserve", "-dir", str(directory), "-initonly", "-port-offset", "20000")
    assert result.returncode == 0, result.stderr
    config = load_config(directory / "mox.conf")
    listener = config.static.listeners["local"]
    assert listener.smtp.port == 20025
    assert listener.submissions.port == 20465
    assert listener.metrics_http.port == 20081
    assert list(config.dynamic.accounts) == ["mox"]
    assert (directory / "accounts/mox/Maildir/cur").is_dir()
    assert len((directory / "receivedid.key").read_bytes()) == 24
    assert (directory / "adminpasswd").read_text().startswith("$scrypt$")
    for name in ("mox.conf", "localhost.key"):
        assert not (directory / name).stat().st_mode & 0o007


def test_the_certificate_is_for_localhost(run: Run, tmp_path: Path) -> None:
    directory = tmp_path / "server"
    run("localserve", "-dir", str(directory), "-initonly")
    certificate = x509.load_pem_x509_certificate((directory / "localhost.crt").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "localhost.crt", directory / "localhost.key")


def test_initonly_with_an_existing_directory_warns(run: Run, tmp_path: Path) -> None:
    words = ("localserve", "-dir", str(tmp_path / "server"), "-initonly")
    run(*words)
    result = run(*words, "-ip", "127.0.0.1")
    assert result.returncode == 0
    assert "warning" in result.stderr
    listeners = load_config(tmp_path / "server/mox.conf").static.listeners
    assert listeners["local"].ips == ("127.0.0.1",)


@pytest.mark.parametrize("flag", [("-ip", "127.0.0.1"), ("-port-offset", "5000")])
def test_choices_need_a_new_directory(run: Run, tmp_path: Path, flag: tuple[str, str]) -> None:
    directory = tmp_path / "server"
    run("localserve", "-dir", str(directory), "-initonly")
    result = run("localserve", "-dir", str(directory), *flag)
    assert result.returncode == 1
    assert result.stderr == f"can only use {flag[0]} when writing a new config file\n"


def test_a_foreign_directory_is_refused(run: Run, tmp_path: Path) -> None:
    result = run("localserve", "-dir", str(tmp_path))
    assert result.returncode == 1
    assert "must not exist yet" in result.stderr


@pytest.mark.parametrize("flag", [("-ip", "localhost"), ("-port-offset", "64543")])
def test_bad_choices_leave_nothing_behind(run: Run, tmp_path: Path, flag: tuple[str, str]) -> None:
    result = run("localserve", "-dir", str(tmp_path / "server"), *flag)
    assert result.returncode == 1
    assert flag[0] in result.stderr
    assert not (tmp_path / "server").exists()


def test_a_failure_while_creating_removes_the_directory(tmp_path: Path) -> None:
    directory = tmp_path / "server"
    result = subprocess.run(
        [str(MOX), "localserve", "-dir", str(directory), "-initonly"],
        # No file may become longer than this: mox.conf cannot be written.
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert "File too large" in result.stderr
    assert "Traceback" not in result.stderr
    assert not directory.exists()


def test_check_says_whether_a_server_would_start(run: Run, tmp_path: Path) -> None:
    directory = tmp_path / "server"
    run("localserve", "-dir", str(directory), "-initonly")
    assert run("-config", str(directory / "mox.conf"), "serve", "-check").returncode == 0
    (directory / "domains.conf").write_text("Nonsense: 1\n")
    result = run("-config", str(directory / "mox.conf"), "serve", "-check")
    assert result.returncode == 1
    assert "domains.conf:1" in result.stderr


def test_stop_without_a_server(run: Run, tmp_path: Path) -> None:
    directory = tmp_path / "server"
    run("localserve", "-dir", str(directory), "-initonly")
    result = run("-config", str(directory / "mox.conf"), "stop")
    assert result.returncode == 1
    assert "no server is running" in result.stderr


@pytest.mark.parametrize(
    ("account", "stdin", "status", "expected"),
    [
        ("mox", "correct horse\n", 0, "is set"),
        ("mox", "short\n", 1, "at least 8 characters"),
        ("mox", "", 1, "at least 8 characters"),
        ("mox", "x" * 5000, 1, "too long"),
        ("nobody", "correct horse\n", 1, "no account 'nobody'"),
    ],
)
def test_setaccountpassword(
    run: Run, tmp_path: Path, account: str, stdin: str, status: int, expected: str
) -> None:
    directory = tmp_path / "server"
    run("localserve", "-dir", str(directory), "-initonly")
    config = str(directory / "mox.conf")
    result = run("-config", config, "setaccountpassword", account, stdin=stdin)
    assert result.returncode == status
    assert expected in result.stdout + result.stderr


def test_reindex(run: Run, tmp_path: Path) -> None:
    directory = tmp_path / "server"
    run("localserve", "-dir", str(directory), "-initonly")
    result = run("-config", str(directory / "mox.conf"), "reindex", "mox")
    assert result.returncode == 0
    assert "6 mailboxes, 0 messages" in result.stdout
    result = run("-config", str(directory / "mox.conf"), "reindex", "nobody")
    assert result.returncode == 1
    assert "nobody" in result.stderr


def test_key_is_made_and_can_be_registered(run: Run, tmp_path: Path) -> None:
    stem = str(tmp_path / "laptop")
    made = run("tlspubkey", "gen", stem)
    shown = dict(line.split(": ", 1) for line in made.stderr.splitlines() if ": " in line)
    certificate = Path(f"{stem}.certificate.pem")
    assert certificate.read_bytes() == ed25519_identity(shown["key"]).chain_pem
    assert load(file_identity(Path(f"{stem}.key-and-certificate.pem")))
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("laptop.*")} == {0o600}
    again = run("tlspubkey", "gen", stem)
    assert again.returncode == 1
    assert "laptop.key.pem" in again.stderr
    new = tmp_path / "new"
    run("localserve", "-dir", str(new), "-initonly")
    config = ("-config", str(new / "mox.conf"))
    added = run(*config, "tlspubkey", "add", "mox@localhost", stdin=certificate.read_text())
    assert added.stdout.strip() == shown["fingerprint"]


def test_tlspubkey(run: Run, tmp_path: Path) -> None:
    directory = tmp_path / "server"
    run("localserve", "-dir", str(directory), "-initonly")
    config = ("-config", str(directory / "mox.conf"))
    pem = identity("client.example").chain_pem.decode()
    added = run(*config, "tlspubkey", "add", "mox@localhost", "my laptop", stdin=pem)
    assert added.returncode == 0, added.stderr
    known_by = added.stdout.strip()
    assert len(known_by) == 43
    again = run(*config, "tlspubkey", "add", "mox@localhost", stdin=pem)
    assert (again.returncode, "registered already" in again.stderr) == (1, True)
    listed = run(*config, "tlspubkey", "list", "mox").stdout
    assert listed.startswith(f"{known_by}  mox  mox@localhost  ")
    assert listed.endswith("  imap preauth  my laptop\n")
    assert run(*config, "tlspubkey", "list", "other").stdout == ""
    assert run(*config, "tlspubkey", "rm", known_by).returncode == 0
    assert run(*config, "tlspubkey", "rm", known_by).returncode == 1
    dashed = f"-{known_by[1:]}"
    assert f"no key {dashed}" in run(*config, "tlspubkey", "rm", dashed).stderr
    nobody = run(*config, "tlspubkey", "add", "who@elsewhere.example", stdin=pem)
    assert "no account has the address" in nobody.stderr
    nothing = run(*config, "tlspubkey", "add", "mox@localhost", stdin="nothing\n")
    assert "no certificate in PEM form" in nothing.stderr
