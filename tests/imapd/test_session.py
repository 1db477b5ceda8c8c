from __future__ import annotations

from tests.imapd.harness import Site, message


def test_greeting_and_logout(site: Site) -> None:
    client = site.connect()
    assert client.greeting.startswith("* OK [CAPABILITY IMAP4rev2 IMAP4rev1 ")
    assert client.ok("logout") == ["* BYE logging out"]
    assert client.is_closed()


def test_a_first_walk_through_a_mailbox(site: Site) -> None:
    site.add(message(1), message(2))
    client = site.login()
    lines = client.ok("select inbox")
    assert "* 2 EXISTS" in lines
    assert client.ok("fetch 1:* (uid flags)") == [
        "* 1 FETCH (UID 1 FLAGS (\\Recent))",
        "* 2 FETCH (UID 2 FLAGS (\\Recent))",
    ]
