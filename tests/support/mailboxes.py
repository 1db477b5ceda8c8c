"""Looking into mailboxes over IMAP, and at messages as they came back."""

from __future__ import annotations

import imaplib
import re

# What mox may put in front of a message.
_ADDED = re.compile(
    rb"(?:(?:Delivered-To|Return-Path|Authentication-Results|Received-SPF|Received|DKIM-Signature"
    rb"|Message-Id|Date|X-Mox-[A-Za-z-]+):[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*)*"
)


def fetch_all(client: imaplib.IMAP4, mailbox: str = "INBOX") -> list[bytes]:
    """All messages of a mailbox in order of their uids, without marking them as read."""
    select(client, mailbox)
    return [body_of(client, number) for number in numbers(client)]


def numbers(client: imaplib.IMAP4, *criteria: str) -> list[bytes]:
    """Sequence numbers of the messages of the selected mailbox that match."""
    status, data = client.search(None, *(criteria or ("ALL",)))
    assert status == "OK", data
    return list(data[0].split())


def body_of(client: imaplib.IMAP4, number: bytes | str) -> bytes:
    status, data = client.fetch(
        number if isinstance(number, str) else number.decode(), "(BODY.PEEK[])"
    )
    assert status == "OK", data
    # Beside the answer there may be news of other messages.
    (answer,) = [item for item in data if isinstance(item, tuple)]
    return bytes(answer[1])


def select(client: imaplib.IMAP4, mailbox: str = "INBOX") -> int:
    """Select a mailbox; returns how many messages it has."""
    status, data = client.select(mailbox)
    assert status == "OK", data
    return int(data[0] or b"0")


def flags_of(client: imaplib.IMAP4, number: str) -> set[str]:
    status, data = client.fetch(number, "(FLAGS)")
    assert status == "OK", data
    lines = [
        item for item in data if isinstance(item, bytes) and item.startswith(f"{number} (".encode())
    ]
    assert lines, data
    return {flag.decode() for flag in imaplib.ParseFlags(lines[-1])}


def is_intact(found: bytes, sent: bytes) -> bool:
    """Whether `found` is `sent` below nothing but fields that mox adds."""
    if not found.endswith(sent):
        return False
    return _ADDED.fullmatch(found, 0, len(found) - len(sent)) is not None
