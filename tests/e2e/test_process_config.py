"""Administering a running server: configuration, accounts, passwords, the index."""

from __future__ import annotations

import imaplib
import smtplib
import threading

import pytest

from tests.support.mailboxes import fetch_all, select
from tests.support.server import PASSWORD, USER, Server, eventually

ACCOUNT = """\
Accounts:
	second:
		Domain: localhost
		Destinations:
			second@localhost: nil
"""


def logs_in(server: Server, user: str, password: str) -> bool:
    imap = imaplib.IMAP4("127.0.0.1", server.imap)
    try:
        imap.login(user, password)
    except imaplib.IMAP4.error:
        return False
    finally:
        imap.shutdown()
    return True


def add_second(server: Server) -> None:
    server.edit("domains.conf", "Accounts:\n", ACCOUNT)
    done = server.run("setaccountpassword", "second", stdin="another password\n")
    assert done.returncode == 0, done.stderr


def test_an_account_is_added_without_restart(server: Server) -> None:
    before = server.processes()
    assert not logs_in(server, "second@localhost", "another password")
    add_second(server)
    eventually(lambda: logs_in(server, "second@localhost", "another password"))
    # Each worker looks at the file once a second.
    eventually(lambda: _delivers_to_second(server))
    assert set(server.workers("smtp")) <= set(before)
    # Who sends as whom follows at once.
    with smtplib.SMTP("127.0.0.1", server.submission, timeout=60) as client:
        client.login("second@localhost", "another password")
        assert client.mail("second@localhost")[0] == 250
        assert client.rset()[0] == 250
        assert client.mail(USER)[0] == 550


def _delivers_to_second(server: Server) -> bool:
    server.deliver(b"From: <a@localhost>\r\n\r\n\r\n", "second@localhost")
    imap = imaplib.IMAP4("127.0.0.1", server.imap)
    imap.login("second@localhost", "another password")
    found = select(imap)
    imap.logout()
    return found > 0


def test_an_account_is_removed_without_restart(server: Server) -> None:
    add_second(server)
    eventually(lambda: logs_in(server, "second@localhost", "another password"))
    server.edit("domains.conf", ACCOUNT, "Accounts:\n")
    # All workers: several times in a row.
    eventually(lambda: not any(_second_logs_in(server) for _ in range(3)), 20)


def _second_logs_in(server: Server) -> bool:
    return logs_in(server, "second@localhost", "another password")


def test_a_broken_domains_conf_is_reported_and_not_taken(server: Server) -> None:
    good = (server.directory / "domains.conf").read_text()
    (server.directory / "domains.conf").write_text(good + "Nonsense: 1\n")
    eventually(lambda: server.count() == 0 and "Nonsense" in server.log)
    assert logs_in(server, USER, PASSWORD)
    assert server.count() == 0
    done = server.run("config", "test")
    assert done.returncode == 1
    line = good.count("\n") + 1
    assert f"domains.conf:{line}" in done.stderr
    (server.directory / "domains.conf").write_text(good)
    assert server.run("config", "test").stdout == "config OK\n"


def test_what_is_not_supported_yet_is_said_once(server: Server) -> None:
    assert server.log.count("AdminPasswordFile is configured, not supported yet") == 1
    done = server.run("config", "test")
    assert done.returncode == 0
    assert done.stderr.count("AdminPasswordFile") == 1


def test_a_changed_password_counts_at_once(server: Server) -> None:
    # Logins that succeeded are remembered; this must not outlive the password.
    for _ in range(4):
        assert logs_in(server, USER, PASSWORD)
    open_session = server.imap_client()
    done = server.run("setaccountpassword", "mox", stdin="new password\n")
    assert (done.returncode, done.stdout) == (0, "password of account mox is set\n")
    for _ in range(4):
        assert not logs_in(server, USER, PASSWORD)
        assert logs_in(server, USER, "new password")
    with smtplib.SMTP("127.0.0.1", server.submission, timeout=60) as client:
        client.ehlo()
        client.user, client.password = USER, "new password"
        assert client.auth("CRAM-MD5", client.auth_cram_md5)[0] == 235
    assert open_session.noop()[0] == "OK"
    open_session.logout()


@pytest.mark.parametrize(
    ("account", "password", "says"),
    [
        ("nobody", "long enough\n", "no account 'nobody'"),
        ("mox", "short\n", "at least 8 characters"),
        ("mox", "x" * 5000, "too long"),
        ("mox", "", "at least 8 characters"),
    ],
)
def test_passwords_that_are_not_taken(
    shared: Server, account: str, password: str, says: str
) -> None:
    done = shared.run("setaccountpassword", account, stdin=password)
    assert done.returncode == 1
    assert says in done.stderr
    assert logs_in(shared, USER, PASSWORD)


def test_reindex_beside_the_running_server(server: Server) -> None:
    """It repairs nothing that is right, and loses nothing that comes meanwhile."""
    for number in range(200):
        server.drop(f"cur/18000000{number:03}.t:2,S", f"Subject: {number}\n\n\n")
    assert server.count() == 200
    before = _uids(server)
    stop = threading.Event()
    delivered: list[int] = []

    def deliver() -> None:
        while not stop.is_set():
            server.deliver(b"Subject: meanwhile\r\n\r\n\r\n")
            delivered.append(1)

    thread = threading.Thread(target=deliver)
    thread.start()
    try:
        for _ in range(3):
            done = server.run("reindex", "mox")
            assert done.returncode == 0, done.stderr
            assert "0 entries of the index were wrong" in done.stdout
    finally:
        stop.set()
        thread.join()
    assert server.count() == 200 + len(delivered)
    assert _uids(server)[:200] == before
    done = server.run("reindex", "nobody")
    assert done.returncode == 1
    assert "nobody" in done.stderr


def _uids(server: Server) -> list[bytes]:
    imap = server.imap_client()
    select(imap)
    found = imap.uid("SEARCH", "ALL")[1][0].split()
    imap.logout()
    return list(found)


def test_reindex_makes_a_lost_index_anew(server: Server) -> None:
    for number in range(20):
        server.deliver(b"Subject: %d\r\n\r\ntext\r\n" % number)
    imap = server.imap_client()
    select(imap)
    imap.store("3", "+FLAGS", "(\\Flagged $Label)")
    bodies = fetch_all(imap)
    imap.logout()
    eventually(lambda: any("F" in p.name.partition(":2,")[2] for p in server.maildir.glob("cur/*")))
    server.stop()
    for path in (server.directory / "index").iterdir():
        path.unlink()
    done = server.run("reindex", "mox")
    assert done.returncode == 0, done.stderr
    server.start()
    done = server.run("setaccountpassword", "mox", stdin=f"{PASSWORD}\n")
    assert done.returncode == 0
    imap = server.imap_client()
    assert sorted(fetch_all(imap)) == sorted(bodies)
    assert len(imap.search(None, "FLAGGED", "KEYWORD", "$Label")[1][0].split()) == 1
    imap.logout()


def test_stop_command(server: Server) -> None:
    done = server.run("stop")
    assert done.returncode == 0, done.stderr
    assert server.process is not None
    assert server.process.wait(10) == 15
    done = server.run("stop")
    assert done.returncode == 1
    assert "no server is running" in done.stderr
