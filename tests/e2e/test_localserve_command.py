"""The command line of `mox localserve`: what it prints, creates, and refuses."""

from __future__ import annotations

import re
import smtplib
import socket
import stat
import subprocess
import urllib.request
from pathlib import Path

import lmdb
import pytest

from tests.support.rawsmtp import RawSMTP
from tests.support.server import MOX, USER, Server, eventually, free_offset, running


def mox(*words: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a mox command that ends by itself."""
    return subprocess.run(
        [str(MOX), *map(str, words)], capture_output=True, text=True, timeout=60, cwd=cwd
    )


def test_printed_urls_are_the_real_ones(shared: Server) -> None:
    found = re.findall(r"^  (\w+)://(\S+)", shared.log, re.MULTILINE)
    ports = {(scheme, int(re.search(r":(\d+)(/|$)", rest)[1])) for scheme, rest in found}  # type: ignore[index]
    assert ports == {
        ("smtp", shared.smtp),
        ("smtp", shared.submission),
        ("smtps", shared.submissions),
        ("imap", shared.imap),
        ("imaps", shared.imaps),
        ("http", shared.http),
        ("https", shared.https),
        ("http", shared.metrics),
    }
    for _, port in ports:
        for address in ("127.0.0.1", "::1"):
            socket.create_connection((address, port), timeout=10).close()


def test_urls_follow_a_changed_configuration(server: Server) -> None:
    server.stop()
    offset = free_offset()
    server.edit("mox.conf", f"Port: {server.imap}\n", f"Port: {offset + 1}\n")
    server.start(wait=False)
    eventually(lambda: "serving from existing" in server.log)
    assert f"localhost:{offset + 1} " in server.log.rpartition("serving from newly")[2]
    eventually(lambda: "ready to serve" in server.log.rpartition("serving from existing")[2])
    socket.create_connection(("127.0.0.1", offset + 1), timeout=10).close()


def test_initonly_writes_and_ends(tmp_path: Path) -> None:
    directory = tmp_path / "new/mox"
    done = mox("localserve", "-dir", directory, "-initonly", "-port-offset", "20000")
    assert done.returncode == 0, done.stderr
    names = {path.name for path in directory.iterdir()}
    assert "dkim.localserve.privatekey.pkcs8.pem" in names
    assert names >= {"mox.conf", "domains.conf", "localhost.key", "localhost.crt", "adminpasswd"}
    for name in names - {"accounts", "index", "run", "queue"}:
        assert not (directory / name).stat().st_mode & (stat.S_IROTH | stat.S_IWOTH), name
    assert (directory / "accounts/mox/Maildir/cur").is_dir()
    assert "Port: 20025" in (directory / "mox.conf").read_text()
    done = mox("-config", directory / "mox.conf", "config", "test")
    assert (done.returncode, done.stdout) == (0, "config OK\n")
    again = mox("localserve", "-dir", directory, "-initonly")
    assert again.returncode == 0
    assert "exists" in again.stderr


def test_ip(tmp_path: Path) -> None:
    offset = free_offset()
    directory = tmp_path / "mox"
    words = ("localserve", "-dir", directory, "-ip", "127.0.0.3", "-port-offset", str(offset))
    assert mox(*words, "-initonly").returncode == 0
    with running(directory, offset=offset, host="127.0.0.3") as server:
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", server.smtp), timeout=10)
        with smtplib.SMTP("127.0.0.3", server.smtp, timeout=60) as smtp:
            smtp.starttls(context=server.tls())  # the certificate has this address too
            smtp.sendmail("a@localhost", [USER], b"Subject: x\r\n\r\n\r\n")
        assert f"smtp://localhost:{server.smtp}" in server.log


WRONG = [
    (("-ip", "not-an-address"), 1, "not an IP address"),
    (("-port-offset", "70000"), 1, "-port-offset must be"),
    (("-port-offset", "x"), 2, "invalid int value"),
    (("-nonsense",), 2, "unknown flag -nonsense"),
    (("word",), 2, "unrecognized arguments"),
]


@pytest.mark.parametrize(("words", "status", "says"), WRONG)
def test_wrong_use_of_new_directory(
    tmp_path: Path, words: tuple[str, ...], status: int, says: str
) -> None:
    directory = tmp_path / "mox"
    done = mox("localserve", "-dir", directory, *words)
    assert done.returncode == status, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not directory.exists()


def test_wrong_use_of_existing_directory(tmp_path: Path) -> None:
    directory = tmp_path / "mox"
    assert mox("localserve", "-dir", directory, "-initonly").returncode == 0
    for words in (("-ip", "127.0.0.1"), ("-port-offset", "1000")):
        done = mox("localserve", "-dir", directory, *words)
        assert done.returncode == 1
        assert f"can only use {words[0]} when writing a new config file" in done.stderr
    (directory / "domains.conf").write_text("Domains:\n\tlocalhost: nil\nNonsense: 1\n")
    done = mox("localserve", "-dir", directory)
    assert done.returncode == 1
    assert "domains.conf:3" in done.stderr
    assert "Nonsense" in done.stderr
    empty = tmp_path / "empty"
    empty.mkdir()
    done = mox("localserve", "-dir", empty)
    assert done.returncode == 1
    assert "must not exist" in done.stderr
    assert list(empty.iterdir()) == []
    done = mox("localserve", "-dir", tmp_path / "mox/mox.conf/below")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_named(shared: Server, tmp_path: Path) -> None:
    offset = str(shared.offset)
    done = mox("localserve", "-dir", tmp_path / "mox", "-port-offset", offset)
    assert done.returncode == 1
    assert re.search(rf":{shared.offset + 25}\b.*another program uses this port", done.stderr)


def test_the_same_directory_twice(shared: Server) -> None:
    done = mox("localserve", "-dir", shared.directory)
    assert done.returncode == 1
    assert str(shared.pid) in done.stderr
    assert "Traceback" not in done.stderr


def test_two_side_by_side(shared: Server, server: Server) -> None:
    server.deliver(b"Subject: only here\r\n\r\n\r\n")
    assert (server.count(), shared.count()) == (1, 0)


def test_login_names(shared: Server) -> None:
    with RawSMTP(shared.smtp) as smtp:
        assert smtp.greeting[1] == "localhost ESMTP mox"
    for name, password, works in (
        ("mox@localhost", "moxmoxmox", True),
        ("MOX+x@LOCALHOST", "moxmoxmox", True),
        ("mox@localhost", "moxadmin", False),
        ("postmaster@localhost", "moxmoxmox", False),
    ):
        with smtplib.SMTP("127.0.0.1", shared.submission, timeout=60) as smtplogin:
            smtplogin.ehlo()
            smtplogin.user, smtplogin.password = name, password
            if works:
                assert smtplogin.auth("PLAIN", smtplogin.auth_plain)[0] == 235
            else:
                with pytest.raises(smtplib.SMTPAuthenticationError):
                    smtplogin.auth("PLAIN", smtplogin.auth_plain)


def test_metrics_over_all_processes(server: Server) -> None:
    for number in range(20):
        server.deliver(b"Subject: %d\r\n\r\n\r\n" % number)
    text = metrics(server)
    assert value(text, "mox_smtpserver_delivery_total", 'result="delivered"') == 20
    assert value(text, "mox_smtpserver_connection_total", 'kind="deliver"') >= 20
    with urllib.request.urlopen(f"http://localhost:{server.metrics}/", timeout=30) as answer:
        assert b"/metrics" in answer.read() or answer.status == 200


def metrics(server: Server) -> str:
    url = f"http://localhost:{server.metrics}/metrics"
    with urllib.request.urlopen(url, timeout=30) as answer:
        return str(answer.read().decode())


def value(text: str, name: str, *labels: str) -> float:
    """Sum of the samples of a metric that have all of these labels."""
    lines = [line for line in text.splitlines() if line.startswith((f"{name}{{", f"{name} "))]
    assert lines, f"no metric {name}"
    return sum(
        float(line.rpartition(" ")[2]) for line in lines if all(label in line for label in labels)
    )


def test_an_index_of_another_version_is_refused_at_start(tmp_path: Path) -> None:
    directory = tmp_path / "mox"
    words = ("localserve", "-dir", directory, "-port-offset", str(free_offset()))
    assert mox(*words, "-initonly").returncode == 0
    env = lmdb.open(str(directory / "index"), map_size=1 << 30, max_dbs=1)
    with env.begin(write=True, db=env.open_db(b"meta", create=False)) as txn:
        txn.put(b"version", b"0")
    env.close()
    for command in (words[:3], ("-config", directory / "mox.conf", "serve", "-check")):
        done = mox(*command)
        assert done.returncode == 1
        assert "index has format b'0'" in done.stderr
        assert "use the matching version of mox" in done.stderr
