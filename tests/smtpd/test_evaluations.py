"""DMARC evaluations of mail that a running worker takes in or refuses."""

from __future__ import annotations

import time
from collections.abc import Callable

from mox.mailauth.dmarcevaluation import DMARCEvaluation
from mox.store import evaluations
from tests.smtpd.harness import RESOLVER, FakeResolver, Site

MakeSite = Callable[..., Site]

DYNAMIC = """\
Domains:
	example.org: nil
Accounts:
	mjl:
		Domain: example.org
		Destinations:
			mjl@example.org:
				Rulesets:
					-
						HeadersRegexp:
							^list-id$: <dev[.]lists>
						ListAllowDomain: remote.example
						Mailbox: Lists/dev
			second@example.org: nil
"""
ZONE = dict(RESOLVER.records) | {
    ("_dmarc.remote.example", "TXT"): ('"v=DMARC1; p=none; rua=mailto:r@remote.example"',),
    ("strict.example", "A"): ("192.0.2.1",),
    ("_dmarc.strict.example", "TXT"): ('"v=DMARC1; p=reject; ri=3600; rua=mailto:r@x.example"',),
}


def start(make_site: MakeSite, *, localserve: bool = False, loglevel: str = "error") -> Site:
    resolver = FakeResolver(ZONE)
    return make_site(dynamic=DYNAMIC, resolver=resolver, localserve=localserve, loglevel=loglevel)


def send(site: Site, author: str, *to: str, head: str = "") -> int:
    client = site.connect()
    client.envelope("a@remote.example", to[0])
    for recipient in to[1:]:
        assert client.say(f"RCPT TO:<{recipient}>")[0] == 250
    octets = f"{head}From: <{author}>\r\nSubject: x\r\n\r\ntext\r\n".encode()
    code, _ = client.data(octets)
    client.close()
    return code


def kept(site: Site, domain: str) -> list[DMARCEvaluation]:
    site.ctx.store.finish_background()
    return evaluations.of_domain(site.ctx.store, domain, int(time.time()) + 1)


def test_one_for_each_recipient(make_site: MakeSite) -> None:
    site = start(make_site)
    assert send(site, "a@remote.example", "mjl@example.org", "second@example.org") == 250
    first, second = kept(site, "remote.example")
    assert first == second
    assert (first.disposition, first.aligned_spf, first.spf_result) == ("none", True, "pass")
    assert (first.source_ip, first.envelope_to) == ("127.0.0.1", "example.org")
    assert first.addresses == (("mailto:r@remote.example", 0),)


def test_refused_by_policy_and_let_in_by_a_list(make_site: MakeSite, fast_tarpit: None) -> None:
    site = start(make_site)
    assert send(site, "a@strict.example", "mjl@example.org") == 550
    head = "List-Id: <dev.lists>\r\n"
    assert send(site, "a@strict.example", "mjl@example.org", head=head) == 250
    refused, taken = kept(site, "strict.example")
    assert (refused.disposition, refused.overrides, refused.optional) == ("reject", (), True)
    assert (taken.disposition, taken.overrides) == ("none", ("mailing_list",))
    assert (taken.interval_hours, taken.optional, taken.aligned_spf) == (1, False, False)


def test_none_when_reports_are_switched_off(make_site: MakeSite) -> None:
    # The setting stands on a line of its own.
    site = start(make_site, loglevel="error\nNoOutgoingDMARCReports: true")
    assert send(site, "a@remote.example", "mjl@example.org") == 250
    assert kept(site, "remote.example") == []


def test_none_for_programs_near_localserve(make_site: MakeSite) -> None:
    site = start(make_site, localserve=True)
    assert send(site, "a@remote.example", "mjl@example.org") == 250
    assert kept(site, "remote.example") == []
