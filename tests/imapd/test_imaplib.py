"""The standard library's client against the server."""

from __future__ import annotations

import imaplib
from collections.abc import Callable

from tests.imapd.harness import MESSAGE, PASSWORD, Site, in_thread
from tests.serving.harness import client_tls


def test_a_walk_with_imaplib(make_site: Callable[..., Site]) -> None:
    site = make_site(tls=True)

    def walk() -> list[object]:
        client = imaplib.IMAP4("127.0.0.1", site.port(), timeout=10)
        client.starttls(client_tls())
        client.authenticate("PLAIN", lambda _: f"\0mjl@example.org\0{PASSWORD}".encode())
        client.create("Other")
        client.append("Other", "(\\Flagged)", '"01-Jan-2026 00:00:00 +0000"', MESSAGE)
        results: list[object] = [client.select("Other")]
        results.append(client.uid("SEARCH", "FLAGGED"))
        results.append(client.fetch("1", "(BODY.PEEK[] FLAGS)")[1][0][1])  # type: ignore[index]
        client.store("1", "+FLAGS", "\\Deleted")
        results.append(client.expunge())
        results.append(client.close()[0])
        client.logout()
        return results

    assert in_thread(walk) == [
        ("OK", [b"1"]),
        ("OK", [b"1"]),
        MESSAGE,
        ("OK", [b"1"]),
        "OK",
    ]
