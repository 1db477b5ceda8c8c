"""What well-known mail programs say, in their order and with their habits."""

from __future__ import annotations

import gevent

from tests.imapd.harness import PASSWORD, Client, Literal, Site, message


def test_outlook_appends_with_flags_of_its_own(site: Site) -> None:
    """Flags and date in one go, a synchronising literal, spaces at the end, and a NOOP after it."""
    client = site.login()
    client.send('a1 SELECT "Sent" \r\n')
    while not client.line().startswith("a1 OK"):
        pass
    sent = message(1)
    client.send(
        'a2 APPEND "Sent" (\\Seen $MDNSent $Forwarded) "25-Nov-2026 10:00:00 +0100" '
        f"{{{len(sent)}}}\r\n"
    )
    assert client.line().startswith("+ ")
    client.send(sent + b"\r\n")
    lines = [client.line()]
    while not lines[-1].startswith("a2 "):
        lines.append(client.line())
    assert lines[-1].startswith("a2 OK [APPENDUID ")
    (line,) = client.ok("fetch 1 (flags internaldate)")
    assert "\\Seen $Forwarded" in line
    assert "$MDNSent" in line
    assert '"25-Nov-2026 10:00:00 +0100"' in line
    # Its trash is a flag, and what it removes it removes by uid.
    client.ok("uid store 1 +flags (\\Deleted \\Seen)")
    assert "* 1 EXPUNGE" in client.ok("uid expunge 1:*")


def test_apple_mail_names_itself_and_looks_around(site: Site) -> None:
    client = site.connect()
    client.ok(
        'ID ("name" "com.apple.email.maild" "version" "3826.300.87" "os" "Mac OS X" '
        '"os-version" "15.3 (24D60)" "vendor" "Apple Inc.")'
    )
    client.ok("AUTHENTICATE PLAIN", "AG1qbEBleGFtcGxlLm9yZwB0ZXN0MTIzNC3DpA==")
    client.ok("ENABLE CONDSTORE QRESYNC")
    client.ok("NAMESPACE")
    client.ok('LIST "" ""')
    lines = client.ok('LIST "" "*" RETURN (SPECIAL-USE SUBSCRIBED)')
    assert any("\\Sent" in line for line in lines)
    client.ok("SELECT INBOX")
    site.add(message(1))
    # iOS Mail 16 asks for what changed since modseq 0.
    client.ok("noop")
    (line,) = client.ok("UID FETCH 1:* (FLAGS UID) (CHANGEDSINCE 0)")
    assert line.startswith("* 1 FETCH (")
    client.ok('GETQUOTAROOT "INBOX"')
    client.ok("ID NIL")


def test_apple_mail_by_uids_alone(site: Site) -> None:
    """With UIDONLY, PARTIAL, UIDBATCHES and ESEARCH announced it uses no sequence numbers."""
    site.add(*[message(n) for n in range(1, 4)])
    client = site.login()
    client.ok("ENABLE UIDONLY CONDSTORE")
    client.ok("SELECT INBOX")
    (line,) = client.ok("UIDBATCHES 1000")
    assert line.endswith(" 3:1")
    (line,) = client.ok("UID SEARCH RETURN (PARTIAL -1:-100) UNDELETED")
    assert "PARTIAL (-1:-100 " in line
    assert len(client.ok("UID FETCH 1:3 (UID FLAGS MODSEQ)")) == 3


def test_thunderbird_has_several_connections(site: Site) -> None:
    """Five connections, each in a mailbox of its own; what one does, the others hear of."""
    clients = [site.connect() for _ in range(5)]
    for client in clients:
        client.ok("login mjl@example.org", Literal(PASSWORD))
        client.ok("ENABLE UTF8=ACCEPT")
        client.ok('ID ("name" "Thunderbird" "version" "128.0")')
    for client, name in zip(clients, ("INBOX", "Sent", "Drafts", "Trash", "INBOX"), strict=True):
        client.ok(f'select "{name}"')
    for client in clients[1:]:
        client.idle()
    # It asks for what it shows in bulk, with a set of its own making.
    site.add(message(1), message(2))
    clients[0].ok("noop")
    fields = "From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups"
    lines = clients[0].ok(
        f"UID fetch 1:2 (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS ({fields})])"
    )
    assert len(lines) == 2
    clients[0].ok('uid move 1 "Trash"')
    heard = [clients[4].line() for _ in range(5)]
    assert "* 1 EXPUNGE" in heard
    assert clients[3].line() == "* 1 EXISTS"
    # "&" is an ordinary character for it.
    clients[1].done()
    clients[1].ok('create "R&D"')
    assert any('"/" R&D' in line for line in clients[1].ok('list "" "R&D"'))


def test_k9_and_fairemail_idle_and_come_back_with_qresync(site: Site) -> None:
    site.add(*[message(n) for n in range(1, 6)])
    phone = site.login(enable="qresync")
    lines = phone.ok("select inbox")
    modseq = next(line for line in lines if "HIGHESTMODSEQ" in line).split()[3].rstrip("]")
    validity = next(line for line in lines if "UIDVALIDITY" in line).split()[3].rstrip("]")
    phone.idle()
    # The network is gone: nobody says goodbye.
    phone.sock.close()
    other = site.login("inbox")
    other.ok("store 1 +flags (\\Seen)")
    other.ok("store 2:3 +flags.silent (\\Deleted)")
    other.ok("expunge")
    other.append("inbox", message(6))
    again = site.login(enable="qresync")
    lines = again.ok(f"select inbox (qresync ({validity} {modseq} 1:5))")
    assert "* VANISHED (EARLIER) 2:3" in lines
    assert any(line.startswith("* 1 FETCH (UID 1 FLAGS (\\Seen") for line in lines)
    # IDLE is renewed every few minutes, with DONE and IDLE in one packet.
    again.idle()
    again.send("DONE\r\nidle2 IDLE\r\n")
    assert again.line().startswith("idle OK")
    assert again.line().startswith("+ ")
    other.append("inbox", message(7))
    assert again.line() == "* 5 EXISTS"


def test_mbsync_sends_commands_without_waiting(site: Site) -> None:
    site.add(*[message(n) for n in range(1, 21)])
    client = site.login()
    out = b'1 SELECT "INBOX"\r\n2 FETCH 1:* (UID FLAGS)\r\n'
    out += b"".join(b"%d UID FETCH %d (BODY.PEEK[])\r\n" % (10 + n, n) for n in range(1, 21))
    out += b"".join(
        b"%d UID STORE %d +FLAGS.SILENT (\\Seen)\r\n" % (40 + n, n) for n in range(1, 21)
    )
    body = message(99)
    out += b"".join(
        b'%d APPEND "Sent" (\\Seen) {%d+}\r\n%b\r\n' % (70 + n, len(body), body) for n in range(5)
    )
    out += b"90 EXPUNGE\r\n91 LOGOUT\r\n"
    gevent.spawn(client.send, out)
    tags = []
    while not tags or tags[-1] != "91":
        line = client.line()
        if not line.startswith("* "):
            tag, status, _ = line.split(" ", 2)
            assert status == "OK", line
            tags.append(tag)
    assert tags == [
        *("1", "2"),
        *(str(10 + n) for n in range(1, 21)),
        *(str(40 + n) for n in range(1, 21)),
        *(str(70 + n) for n in range(5)),
        *("90", "91"),
    ]
    check: Client = site.login("inbox")
    assert check.ok("search unseen") == ["* SEARCH"]
    assert check.ok("status Sent (messages)") == ["* STATUS Sent (MESSAGES 5)"]
