"""Messages that the server composes: who may be the author, envelopes, signatures, sizes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mox.address import parse_address, parse_domain
from mox.config import Config, load
from mox.config.domain import DEFAULT_SIGNED_HEADERS
from mox.delivery import composing
from mox.delivery.composing import Options, Origin, Written
from mox.errors import UserError
from mox.mailauth import dkim
from mox.mailauth.canonical import Canonicalization
from mox.mailauth.dkimsign import Signer
from mox.message.compose import Draft
from mox.message.composebodies import File
from mox.store import Store, open_store
from mox.store.spool import Spool
from tests.delivery.conftest import DYNAMIC, STATIC
from tests.mailauth.dkimkeys import ED25519, KeyZone, record, rsa_key

NOW = 1_800_000_000
LIMIT = 10 << 20
FROM_ID_LOGIN = "mjl+tx@example.org"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path / "data")
    yield opened
    opened.close()


@pytest.fixture
def spool(store: Store) -> Iterator[Spool]:
    with store.spool() as spool:
        yield spool


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "mox.conf").write_text(STATIC)
    account = "\tmjl:\n"
    listed = f"{account}\t\tFromIDLoginAddresses:\n\t\t\t- {FROM_ID_LOGIN}\n"
    (tmp_path / "domains.conf").write_text(DYNAMIC.replace(account, listed))
    return load(tmp_path / "mox.conf", check_files=False)


def write(
    config: Config, store: Store, spool: Spool, login: str = "mjl@example.org", **changes: Any
) -> Written:
    origin = Origin(
        account="mjl",
        login_address=login,
        hostname=parse_domain("mail.example.org"),
        id="id-in-trace",
        tls="TLS1.3 TLS_AES_128_GCM_SHA256",
        when=NOW,
    )
    options = changes.pop("options", Options())
    max_size = changes.pop("max_size", LIMIT)
    fields: dict[str, Any] = {
        "author": ("M", parse_address("mjl+shop@example.org")),
        "to": [("", parse_address("a@there.example")), ("", parse_address("b@there.example"))],
        "date": (NOW, 0),
        "message_id": "<1@example.org>",
        "user_agent": "mox",
        "plain": "hello",
        "boundary": "0123456789abcdef",
    }
    draft = Draft(**(fields | changes))
    return composing.write(config, origin, draft, options, spool, store.pool, max_size=max_size)


@pytest.mark.parametrize("address", ["mjl@example.org", "MJL+x@example.org", "x@any.example"])
def test_own_addresses_may_be_the_author(config: Config, address: str) -> None:
    composing.check_author(config, "mjl", parse_address(address))


@pytest.mark.parametrize(
    "address", ["other@example.org", "postmaster@example.org", "team@example.org", "x@y.example"]
)
def test_other_addresses_may_not(config: Config, address: str) -> None:
    with pytest.raises(composing.ForeignAuthor):
        composing.check_author(config, "mjl", parse_address(address))


def test_nothing_is_sent_from_a_disabled_domain(tmp_path: Path) -> None:
    (tmp_path / "mox.conf").write_text(STATIC)
    off = "\texample.org:\n"
    (tmp_path / "domains.conf").write_text(DYNAMIC.replace(off, f"{off}\t\tDisabled: true\n"))
    config = load(tmp_path / "mox.conf", check_files=False)
    with pytest.raises(composing.DisabledDomain):
        composing.check_author(config, "mjl", parse_address("mjl@example.org"))


def test_all_recipients_get_the_same_octets(config: Config, store: Store, spool: Spool) -> None:
    submission = write(config, store, spool, subject="héllo").submission
    assert submission.prefix == (
        b"Received: from mail.example.org by mail.example.org id id-in-trace\r\n"
        b"\t(TLS1.3 TLS_AES_128_GCM_SHA256); 15 Jan 2027 08:00:00 +0000\r\n"
    )
    assert submission.subject == "héllo"
    assert [str(recipient.path) for recipient in submission.recipients] == [
        "a@there.example",
        "b@there.example",
    ]
    senders = {str(recipient.reverse_path) for recipient in submission.recipients}
    assert senders == {"mjl+shop@example.org"}
    assert b"\n\nhello\n" in bytes(spool.stored())


def test_a_single_recipient_is_in_the_trace(config: Config, store: Store, spool: Spool) -> None:
    to = [("", parse_address("a@there.example"))]
    assert b" for <a@there.example>;" in write(config, store, spool, to=to).submission.prefix


def test_a_listed_login_has_a_sender_for_each_recipient(
    config: Config, store: Store, spool: Spool
) -> None:
    submission = write(config, store, spool, FROM_ID_LOGIN.upper()).submission
    for recipient in submission.recipients:
        assert len(recipient.from_id) == 22
        assert str(recipient.reverse_path) == f"mjl+{recipient.from_id}@example.org"
    assert submission.recipients[0].from_id != submission.recipients[1].from_id


def test_a_domain_without_separator_is_the_callers_error(
    config: Config, store: Store, spool: Spool
) -> None:
    author = ("", parse_address("x@any.example"))
    with pytest.raises(UserError, match="separator"):
        write(config, store, spool, FROM_ID_LOGIN, author=author)


@pytest.mark.parametrize("body", Canonicalization)
@pytest.mark.parametrize(
    "content",
    [
        {"plain": "hello \t world \n\n\n"},
        {"plain": "\u263a " * 30_000},
        {"html": "<p>", "attached_files": [File(content=b"x" * 100_000, name="é.bin")]},
    ],
)
def test_signatures_made_while_writing_are_good(
    config: Config, store: Store, spool: Spool, body: Canonicalization, content: dict[str, Any]
) -> None:
    signers = tuple(
        Signer(
            domain=parse_domain("example.org"),
            selector=selector,
            key=key,
            names=DEFAULT_SIGNED_HEADERS,
            body=body,
        )
        for selector, key in (("ed", ED25519), ("rsa", rsa_key()))
    )
    config = replace(config, signers={"example.org": signers})
    written = write(config, store, spool, **content)
    assert written.submission.signed_with == ("ed25519", "rsa")
    stored = written.submission.prefix.replace(b"\r\n", b"\n") + bytes(spool.stored())
    zone = KeyZone(
        {
            "ed._domainkey.example.org": record(ED25519),
            "rsa._domainkey.example.org": record(rsa_key()),
        }
    )
    results = dkim.verify(zone, stored, NOW + 1)
    assert [str(result.status) for result in results] == ["pass", "pass"]
    assert written.own_prefix.startswith(b"DKIM-Signature: ")


def test_the_own_copy_names_blind_recipients(config: Config, store: Store, spool: Spool) -> None:
    written = write(config, store, spool, bcc=[("", parse_address("h@there.example"))])
    assert written.own_prefix == b"Bcc: <h@there.example>\r\n"
    assert b"h@there.example" not in bytes(spool.stored())
    assert len(written.submission.recipients) == 3


def test_utf8_is_announced_where_it_is_needed(config: Config, store: Store, spool: Spool) -> None:
    assert not write(config, store, spool, plain="☺").submission.smtputf8
    with store.spool() as other:
        to = [("", parse_address("jösé@there.example"))]
        submission = write(config, store, other, to=to).submission
    assert submission.smtputf8
    assert submission.has_8bit


def test_what_is_asked_for_goes_into_the_queue(config: Config, store: Store, spool: Spool) -> None:
    options = Options(
        require_tls=True, not_before=NOW + 60.0, future_release="until;x", extra={"a": "b"}
    )
    submission = write(config, store, spool, options=options).submission
    assert submission.require_tls is True
    assert submission.not_before == NOW + 60.0
    assert submission.future_release == "until;x"
    assert submission.extra == {"a": "b"}
    assert submission.limits is not None


def test_a_message_over_the_limit_is_given_up_while_it_is_written(
    config: Config, store: Store, spool: Spool
) -> None:
    read: list[int] = []

    def endless() -> Iterator[bytes]:
        while True:
            read.append(1)
            yield bytes(100_000)

    with pytest.raises(composing.TooLarge):
        write(config, store, spool, attached_files=[File(content=endless, content_type="a/b")])
    assert len(read) < 2 * LIMIT // 100_000
