"""Who may write to an alias whose members are among themselves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mox.config import Config
from mox.config.lookup import ToAlias
from mox.delivery.posting import refuse_posting
from mox.delivery.recipients import Recipient, resolve_incoming
from mox.mailauth.results import Authentication, DKIMResult, DKIMStatus
from tests.delivery.cases import facts, path
from tests.delivery.results import authentication

MEMBER = b"From: other@example.org\n\n"
PROVEN = authentication(spf_domain="example.org")
WAITING = replace(
    authentication(spf="none"), dkim=(DKIMResult(DKIMStatus.TEMPERROR, None, problem="no answer"),)
)


def team(config: Config) -> ToAlias:
    found = resolve_incoming(config, path("team@example.org"), localserve=False)
    assert isinstance(found, Recipient)
    assert isinstance(found.to, ToAlias)
    return found.to


@pytest.mark.parametrize(
    ("message", "found", "expected"),
    [
        (MEMBER, PROVEN, None),
        (MEMBER, authentication(spf="none", dkim=("example.org",)), None),
        (MEMBER, authentication(spf_domain="mail.example.org"), None),
        (MEMBER, authentication(), (550, "5.7.26")),
        (MEMBER, authentication(spf="fail", spf_domain="example.org"), (550, "5.7.26")),
        # Trouble of DNS: a later try may show who it was.
        (MEMBER, authentication(spf="temperror", spf_domain="example.org"), (451, "4.7.26")),
        (MEMBER, authentication(spf="none", dmarc="temperror"), (451, "4.7.26")),
        (MEMBER, WAITING, (451, "4.7.26")),
        (b"From: x@example.org\n\n", PROVEN, (550, "5.7.2")),
        # What a forger hears does not tell who is a member.
        (b"From: x@example.org\n\n", authentication(), (550, "5.7.26")),
        (b"Subject: from nobody\n\n", authentication(), (550, "5.7.2")),
        (b"From: other@example.org, mjl@example.org\n\n", PROVEN, (550, "5.7.2")),
    ],
)
def test_members_have_to_be_proven(
    config: Config, message: bytes, found: Authentication, expected: tuple[int, str] | None
) -> None:
    refusal = refuse_posting(team(config), facts(message, found=found), config)
    assert (refusal and (refusal[0].code, refusal[0].enhanced)) == expected


def test_a_login_proves_who_it_is(config: Config) -> None:
    assert refuse_posting(team(config), facts(MEMBER, is_ours=True), config) is None


def test_an_open_alias_asks_nobody(config: Config) -> None:
    alias = team(config)
    public = replace(alias, alias=replace(alias.alias, post_public=True))
    assert refuse_posting(public, facts(MEMBER, found=authentication()), config) is None
