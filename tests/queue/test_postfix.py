"""Postfix as the server of the recipient's domain, with DANE, MTA-STS and what it refuses."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from mox.tlspolicy.mtasts import Mode
from tests.queue.site import BODY, Site, mx, parts
from tests.queue.tlsworld import (
    DOMAIN,
    H1,
    STRANGER,
    World,
    counts,
    details,
    ee,
    error,
    good,
    own,
    ta,
    wrong,
)
from tests.support.postfix import Postfix
from tests.tlsio.identities import Identity

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(os.getuid() != 0, reason="Postfix needs root for its users"),
]
CERTIFICATES = {"good": good, "own": own, "wrong": wrong}


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, Postfix]]:
    """One Postfix for each certificate, and one without TLS."""
    with ExitStack() as stack:
        found: dict[str, Identity | None] = {name: make() for name, make in CERTIFICATES.items()}
        found["none"] = None
        yield {
            name: stack.enter_context(Postfix(H1, DOMAIN, cert, ("you", "second", "grün")))
            for name, cert in found.items()
        }


class Mail:
    """Messages to one of the servers, in the world of the test."""

    def __init__(self, world: World, server: Postfix) -> None:
        self.world, self.server = world, server
        world.first = server  # type: ignore[assignment]
        world.records = dict(mx("127.0.0.1"))
        self._before = len(server.mails())

    def send(self, **changes: object) -> Site:
        return self.world.send(**changes)

    def arrives(self) -> str:
        """The Received field that Postfix wrote when it took the one message."""
        self.world.site_.until(lambda: len(self.server.mails()) > self._before)
        assert len(self.server.mails()) == self._before + 1
        assert self.world.site_.outgoing.count() == 0
        newest = self.server.mails()[-1]
        assert newest.get_payload().strip() == ".dot"  # type: ignore[union-attr]
        return str(newest["Received"])

    def waits(self) -> str:
        """The error of the message, of which Postfix has seen nothing."""
        assert len(self.server.mails()) == self._before
        return error(self.world.site_)


@pytest.fixture
def mail(world: World, servers: dict[str, Postfix], request: pytest.FixtureRequest) -> Mail:
    return Mail(world, servers[request.param])


def with_certificate(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("mail", names, indirect=True)


@with_certificate("good", "own", "wrong")
def test_tls_is_used_whatever_the_certificate(mail: Mail) -> None:
    mail.send()
    assert "using TLSv1.3" in mail.arrives()


@with_certificate("none")
def test_without_tls_it_goes_in_clear(mail: Mail) -> None:
    mail.send()
    assert "TLS" not in mail.arrives()


@pytest.mark.parametrize("kind", ["3 1 1", "2 1 1"])
@with_certificate("good")
def test_dane(mail: Mail, kind: str) -> None:
    mail.world.tlsa(H1, ee(good()) if kind == "3 1 1" else ta(good()))
    mail.send()
    assert "using TLSv1.3" in mail.arrives()
    assert counts(mail.world.results()[H1]) == ("tlsa", 1, 0)


@with_certificate("good", "own", "none")
def test_wrong_tlsa_record_keeps_the_message(mail: Mail) -> None:
    mail.world.tlsa(H1, STRANGER)
    mail.send()
    assert mail.waits()
    assert counts(mail.world.results()[H1]) == ("tlsa", 0, 1)


@with_certificate("good")
def test_mta_sts(mail: Mail) -> None:
    mail.world.serve_policy(Mode.ENFORCE, H1)
    mail.send()
    assert "using TLSv1.3" in mail.arrives()
    assert counts(mail.world.results(1)[DOMAIN]) == ("sts", 1, 0)


@with_certificate("own", "wrong", "none")
def test_mta_sts_keeps_the_message_from_wrong_certificates(mail: Mail) -> None:
    mail.world.serve_policy(Mode.ENFORCE, H1)
    mail.send()
    assert mail.waits()
    assert counts(mail.world.results(1)[DOMAIN]) == ("sts", 0, 1)


@with_certificate("wrong")
def test_mta_sts_in_testing_delivers_and_tells(mail: Mail) -> None:
    mail.world.serve_policy(Mode.TESTING, H1)
    mail.send()
    assert "using TLSv1.3" in mail.arrives()
    assert details(mail.world.results(1)[DOMAIN])


@with_certificate("good")
def test_requiretls_fails_for_good_with_a_server_that_has_not_heard_of_it(mail: Mail) -> None:
    mail.world.tlsa(H1, ee(good()))
    site = mail.send(require_tls=True)
    site.until_empty()
    assert len(mail.server.mails()) == mail._before
    [dsn] = site.mailbox()
    assert "Status: 5.7.30" in parts(dsn)[1]


@with_certificate("good")
def test_each_recipient_has_its_own_answer(mail: Mail) -> None:
    site = mail.world.site()
    site.submit(f"you@{DOMAIN}", f"unknown@{DOMAIN}", f"second@{DOMAIN}")
    site.start()
    site.until_empty()
    mail.arrives()
    site.until(lambda: mail.server.mails("second"))
    failed = [msg for msg in site.retired() if not msg.success]
    assert [(msg.recipient.localpart, msg.results[-1].code) for msg in failed] == [("unknown", 550)]
    assert failed[0].results[-1].secode == "1.1"
    assert "User unknown" in parts(site.mailbox()[0])[1]


@with_certificate("good")
def test_internationalized_recipient(mail: Mail) -> None:
    site = mail.world.site()
    site.submit(f"grün@{DOMAIN}", body="Subject: grün\r\n\r\nx\r\n".encode(), smtputf8=True)
    site.start()
    site.until_empty()
    site.until(lambda: mail.server.mails("grün"))
    assert "UTF8SMTPS" in str(mail.server.mails("grün")[0]["Received"])


@with_certificate("good")
def test_message_that_is_too_large_for_it_fails_at_once(mail: Mail) -> None:
    site = mail.world.site()
    body = BODY + b"long line of text that fills it up\r\n" * 7000
    site.submit(f"you@{DOMAIN}", body=body)
    site.start()
    site.until_empty()
    [retired] = site.retired()
    assert (retired.success, retired.results[-1].secode) == (False, "3.4")


@with_certificate("good")
def test_many_messages_share_connections(mail: Mail) -> None:
    site = mail.world.site()
    before = mail.server.log.count(": connect from")
    for _ in range(40):
        site.submit(f"second@{DOMAIN}")
    site.start()
    site.until_empty()
    assert mail.server.log.count(": connect from") - before <= 6
