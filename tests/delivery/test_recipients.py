from __future__ import annotations

import pytest

from mox.address import Path, parse_address
from mox.config import Config
from mox.config.lookup import ToAccount, ToAlias
from mox.delivery.plans import quota
from mox.delivery.recipients import (
    Recipient,
    may_post,
    members_to_deliver,
    refuse_outgoing,
    resolve_incoming,
)
from mox.smtp.reply import Reply


def path(text: str) -> Path:
    address = parse_address(text)
    return Path(address.localpart, address.domain)


def resolve(config: Config, text: str, *, localserve: bool = False) -> Recipient | Reply:
    return resolve_incoming(config, path(text), localserve=localserve)


@pytest.mark.parametrize(
    ("text", "account"),
    [
        ("mjl+x@example.org", "mjl"),
        ("whatever@any.example", "mjl"),
        ("postmaster@example.org", "mjl"),
        ("other@example.org", "other"),
    ],
)
def test_account_is_found(config: Config, text: str, account: str) -> None:
    found = resolve(config, text)
    assert isinstance(found, Recipient)
    assert isinstance(found.to, ToAccount)
    assert found.to.account == account


def test_bare_postmaster_gets_our_name(config: Config) -> None:
    found = resolve_incoming(config, Path("PostMaster", None), localserve=False)
    assert isinstance(found, Recipient)
    assert str(found.path) == "PostMaster@mail.example.org"


def test_unknown_user_is_known_to_be_unknown(config: Config) -> None:
    found = resolve(config, "nobody@example.org")
    assert isinstance(found, Recipient)
    assert found.to is None


def test_refusals(config: Config) -> None:
    assert resolve(config, "a@elsewhere.example") == Reply(
        550, "5.1.1", "not accepting email for domain"
    )
    assert resolve(config, "stop@example.org") == Reply(550, "5.1.1", "no more")
    assert refuse_outgoing(config, path("a@elsewhere.example"), localserve=False) is None
    assert refuse_outgoing(config, path("nobody@example.org"), localserve=False) is not None
    assert refuse_outgoing(config, path("nobody@example.org"), localserve=True) is None


def test_localserve_gives_unknown_mail_to_somebody(config: Config) -> None:
    for text in ("a@elsewhere.example", "nobody@example.org"):
        found = resolve(config, text, localserve=True)
        assert isinstance(found, Recipient)
        assert isinstance(found.to, ToAccount)
        assert found.to.account == "mjl"


def test_members_of_an_alias(config: Config) -> None:
    team = resolve(config, "team@example.org")
    mjl = resolve(config, "mjl+tag@example.org")
    assert isinstance(team, Recipient)
    assert isinstance(mjl, Recipient)
    assert isinstance(team.to, ToAlias)
    author = parse_address("OTHER+x@example.org")
    assert may_post(team.to, author, config)
    assert not may_post(team.to, None, config)
    assert not may_post(team.to, parse_address("team@example.org"), config)
    assert [m.account for m in members_to_deliver(team.to, [team], None, config)] == [
        "mjl",
        "other",
    ]
    assert [m.account for m in members_to_deliver(team.to, [team, mjl], None, config)] == ["other"]
    assert list(members_to_deliver(team.to, [team, mjl], author, config)) == []


def test_quota_of_account_counts_before_that_of_all(config: Config) -> None:
    assert quota(config, "mjl") == 0
    assert quota(config, "other") == 1000
