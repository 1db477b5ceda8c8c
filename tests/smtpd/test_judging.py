"""Incoming mail judged by a running worker: what the sender hears, and where copies are."""

from __future__ import annotations

from collections.abc import Callable

import gevent
import pytest

from mox.address import parse_address, parse_domain
from mox.delivery import content
from mox.mailauth.canonical import Canonicalization
from mox.mailauth.content import SignedContent
from mox.mailauth.dkimsign import Signer, sign
from mox.store.account import Account
from mox.store.model import M_FLAGS, Flag, FlagOp
from tests.mailauth.dkimkeys import ED25519, record
from tests.smtpd.harness import RESOLVER, FakeResolver, Site

MakeSite = Callable[..., Site]

DYNAMIC = """\
Domains:
	example.org:
		Aliases:
			team:
				Addresses:
					- mjl@example.org
					- second@example.org
				PostPublic: true
Accounts:
	mjl:
		Domain: example.org
		RejectsMailbox: Rejects
		Destinations:
			mjl@example.org:
				Rulesets:
					-
						HeadersRegexp:
							^list-id$: <dev[.]lists>
						ListAllowDomain: remote.example
						Mailbox: Lists/dev
					-
						MsgFromRegexp: ^noisy@
						AcceptRejectsToMailbox: Noisy
						Mailbox: Inbox
			proven@example.org:
				MessageAuthRequiredSMTPError: sign your mail
		AutomaticJunkFlags:
			Enabled: true
			JunkMailboxRegexp: ^(junk|spam)
			NeutralMailboxRegexp: ^(inbox|introbox|neutral|postmaster|dmarc|tlsrpt|rejects)
	second:
		Domain: example.org
		Introbox: Introbox
		Destinations:
			second@example.org: nil
"""
# Where this client is the right one to send from, and where it is not.
ZONE = dict(RESOLVER.records) | {
    ("strict.example", "A"): ("192.0.2.1",),
    ("strict.example", "TXT"): ('"v=spf1 -all"',),
    ("_dmarc.strict.example", "TXT"): ('"v=DMARC1; p=reject"',),
    ("open.example", "A"): ("192.0.2.1",),
    ("k._domainkey.remote.example", "TXT"): (f'"{record(ED25519)}"',),
    ("2.0.0.127.bl.example", "A"): ("127.0.0.2",),
    ("2.0.0.127.listed.example", "A"): ("127.0.0.2",),
    ("9.0.0.127.listed.example", "A"): ("127.0.0.2",),
}
SIGNER = Signer(
    domain=parse_domain("remote.example"),
    selector="k",
    key=ED25519,
    names=("From", "Subject", "Authentication-Results"),
    body=Canonicalization.RELAXED,
)


def message(sender: str, number: int = 1, *, head: str = "") -> bytes:
    return (
        f"{head}From: <{sender}>\r\nTo: <mjl@example.org>\r\nSubject: hello {number}\r\n"
        f"Message-Id: <{number}@remote.example>\r\n\r\ntext {number}\r\n"
    ).encode()


@pytest.fixture
def site(make_site: MakeSite, fast_tarpit: None) -> Site:
    return make_site(dynamic=DYNAMIC, resolver=FakeResolver(ZONE))


def send(site: Site, sender: str, number: int = 1, to: str = "mjl@example.org", **more: str) -> int:
    """Deliver in a session of its own; the code of the reply."""
    client = site.connect()
    code, _ = client.deliver(sender, to, message=message(more.get("author", sender), number))
    client.close()
    return code


def judge(site: Site, word: str, mailbox: str = "INBOX", account: str = "mjl") -> None:
    """Mark all messages of a mailbox."""
    found = site.ctx.store.account(account)
    box = found.mailbox(mailbox)
    assert box is not None
    found.store_flags(box.id, list(found.uids(box.id)), FlagOp.ADD, Flag.NONE, (word,))


def flags(account: Account, mailbox: str) -> list[int]:
    box = account.mailbox(mailbox)
    assert box is not None
    return [m[M_FLAGS] & 0xFF for m in account.scan(box.id)]


# ---- replies


def test_strangers_wait_for_the_reply(make_site: MakeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("mox.smtpd.link.Link.wait", lambda self, seconds: waits.append(seconds))
    site = make_site(dynamic=DYNAMIC, resolver=FakeResolver(ZONE), delay="15s")
    assert send(site, "a@remote.example") == 250
    assert waits == [15.0]
    judge(site, "$NotJunk")
    assert send(site, "a@remote.example", 2) == 250
    assert waits == [15.0, 0.0]


def test_a_refused_client_is_slowed_down(
    make_site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeps: list[float] = []
    monkeypatch.setattr("mox.serving.stream.Stream.sleep", staticmethod(sleeps.append))
    site = make_site(dynamic=DYNAMIC, resolver=FakeResolver(ZONE))
    client = site.connect()
    code, text = client.deliver(
        "a@strict.example", "mjl@example.org", message=message("a@x.example")
    )
    assert (code, text.split(" (")[0]) == (451, "4.3.0 error processing")
    assert client.say("NOOP")[0] == 250
    assert sleeps


def test_dmarc_policy_is_told_openly(site: Site) -> None:
    client = site.connect()
    forged = message("boss@strict.example")
    code, text = client.deliver("a@remote.example", "mjl@example.org", message=forged)
    assert (code, text.split(" (")[0]) == (550, "5.7.26 rejecting per dmarc policy")
    [copy] = site.messages("mjl", "Rejects")
    assert copy.startswith(b"X-Mox-Reason: dmarc-policy;\r\n")
    assert b"\tdmarc=fail" in copy


def test_a_destination_that_wants_proof(site: Site) -> None:
    assert send(site, "a@open.example", to="proven@example.org") == 550
    assert send(site, "a@remote.example", to="proven@example.org") == 250


@pytest.mark.parametrize(("zone", "code"), [("bl.example", 250), ("listed.example", 451)])
def test_block_lists_of_the_listener_are_asked(
    make_site: MakeSite, fast_tarpit: None, zone: str, code: int
) -> None:
    smtp = f"Port: 25\n\t\t\tDNSBLs:\n\t\t\t\t- {zone}"
    site = make_site(dynamic=DYNAMIC, resolver=FakeResolver(ZONE), smtp=smtp)
    client = site.connect(source="127.0.0.9")
    octets = message("a@open.example")
    assert client.deliver("a@open.example", "mjl@example.org", message=octets)[0] == code


# ---- several recipients


@pytest.mark.parametrize(
    ("sender", "code"),
    [("a@remote.example", 250), ("a@open.example", 452), ("a@strict.example", 452)],
)
def test_several_recipients_need_an_spf_pass(site: Site, sender: str, code: int) -> None:
    client = site.connect()
    client.envelope(sender, "mjl@example.org")
    got, text = client.say("RCPT TO:<second@example.org>")
    assert got == code
    if code == 452:
        assert text.startswith("4.5.3 ")
    # The first recipient stands in any case.
    assert client.data(message(sender))[0] in (250, 550)


def test_one_member_of_an_alias_takes_a_message_for_all(site: Site) -> None:
    assert send(site, "a@remote.example", 1) == 250
    judge(site, "$Junk")
    assert send(site, "a@remote.example", 2, "team@example.org") == 250
    [_, taken] = site.messages("mjl")
    assert taken.startswith(b"X-Mox-Reason: msgfromfull;")
    assert b"\tanother member of the alias takes it;\r\n" in taken
    assert b"Delivered-To: mjl@example.org\r\n" in taken
    assert len(site.messages("second", "Introbox")) == 1
    judge(site, "$Junk", "Introbox", "second")
    account = site.ctx.store.account("second")
    box, inbox = account.mailbox("Introbox"), account.mailbox("INBOX")
    assert box is not None
    assert inbox is not None
    account.move(box.id, [1], inbox.id)
    assert send(site, "a@remote.example", 3, "team@example.org") == 451
    [copy] = site.messages("mjl", "Rejects")
    assert b"Delivered-To: mjl@example.org\r\n" in copy


# ---- Authentication-Results


def signed(octets: bytes) -> bytes:
    return (
        sign([SIGNER], SignedContent(octets, wire=True), parse_address("a@remote.example"), 1.8e9)
        + octets
    )


def test_fields_that_claim_to_be_ours_do_not_get_in(site: Site) -> None:
    claims = (
        "Authentication-Results: mail.example.org; spf=pass smtp.mailfrom=bank.example\r\n"
        "Authentication-Results: other.example; spf=pass\r\n"
        "Authentication-results: MAIL.Example.ORG\r\n\t; dkim=pass\r\n"
    )
    client = site.connect()
    octets = signed(message("a@remote.example", head=claims))
    assert client.deliver("a@remote.example", "mjl@example.org", message=octets)[0] == 250
    [stored] = site.messages()
    assert stored.lower().count(b"authentication-results: mail.example.org") == 1
    assert b"bank.example" not in stored
    assert b"Authentication-Results: other.example; spf=pass\r\n" in stored
    # Verified as it came, before they were taken out.
    assert b"dkim=pass (256 bit ed25519, without dnssec) header.d=remote.example" in stored
    assert stored.endswith(message("a@remote.example"))


def test_they_do_not_get_in_with_large_messages_either(site: Site) -> None:
    claim = "Authentication-Results: mail.example.org; spf=pass smtp.mailfrom=bank.example\r\n"
    octets = message("a@remote.example", head=claim) + b"0123456789abcdef\r\n" * 100_000
    client = site.connect()
    assert client.deliver("a@remote.example", "mjl@example.org", message=octets)[0] == 250
    [stored] = site.messages()
    assert stored.endswith(octets[len(claim) :])
    assert b"bank.example" not in stored


# ---- lists


def test_a_proven_list_is_let_in_whatever_the_author_asks(site: Site) -> None:
    client = site.connect()
    octets = message("a@strict.example", head="List-Id: <dev.lists>\r\n")
    assert client.deliver("bounces@remote.example", "mjl@example.org", message=octets)[0] == 250
    [stored] = site.messages("mjl", "Lists/dev")
    assert stored.startswith(b"X-Mox-Reason: list-allow;")
    assert b"override\r\n\tmailing_list" in stored or b"override mailing_list" in stored
    # The same without proof is judged as ever.
    client = site.connect()
    assert client.deliver("b@open.example", "mjl@example.org", message=octets)[0] == 550


# ---- Rejects


def reject_twice(site: Site) -> Account:
    """A sender that was called junk; its next message is refused, and tried again."""
    assert send(site, "a@remote.example", 1) == 250
    judge(site, "$Junk")
    assert send(site, "a@remote.example", 2) == 451
    assert send(site, "a@remote.example", 2) == 451
    return site.ctx.store.account("mjl")


def test_a_copy_of_what_is_refused_is_kept_once(site: Site) -> None:
    account = reject_twice(site)
    [copy] = site.messages("mjl", "Rejects")
    assert copy.startswith(b"X-Mox-Reason: msgfromfull;\r\n\treputation: msgfromfull, conclusive,")
    assert flags(account, "Rejects") == [Flag.SEEN]
    box = account.mailbox("Rejects")
    assert box is not None
    origin = account.history(None).origin(box.id, 1)
    inbox = account.mailbox("INBOX")
    assert origin is not None
    assert inbox is not None
    assert origin.is_reject
    assert origin.mailbox_destined == inbox.id


def test_moving_it_out_lets_the_sender_in(site: Site) -> None:
    account = reject_twice(site)
    rejects, archive = account.mailbox("Rejects"), account.mailbox("Archive")
    inbox = account.mailbox("INBOX")
    assert rejects is not None
    assert archive is not None
    assert inbox is not None
    # As IMAP does it, with the account's rules for the junk filter.
    marks = content.marks(site.config.dynamic.accounts["mjl"])
    account.move(rejects.id, [1], archive.id, marks)
    assert flags(account, "Archive") == [0], "unread again"
    assert send(site, "a@remote.example", 3) == 250
    assert [b"msgfromfull;" in stored for stored in site.messages()] == [False, True]


def test_copies_go_when_the_message_gets_in_later(site: Site) -> None:
    account = reject_twice(site)
    box = account.mailbox("INBOX")
    assert box is not None
    account.store_flags(box.id, [1], FlagOp.REPLACE, Flag.NONE, ("$NotJunk",))
    assert send(site, "a@remote.example", 2) == 250
    assert site.messages("mjl", "Rejects") == []
    assert len(site.messages()) == 2


def test_old_copies_are_cleared_and_the_number_is_limited(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    reject_twice(site)
    monkeypatch.setattr("mox.delivery.rejects.MAX_MESSAGES", 2)
    for number in (3, 4, 5):
        assert send(site, "a@remote.example", number) == 451
    assert [b"text 2" in copy for copy in site.messages("mjl", "Rejects")] == [True, False]
    monkeypatch.setattr("mox.delivery.rejects.KEEP_S", -10)
    assert send(site, "a@remote.example", 6) == 451
    [copy] = site.messages("mjl", "Rejects")
    assert b"text 6" in copy


def test_a_ruleset_takes_in_what_would_be_refused(site: Site) -> None:
    assert send(site, "a@strict.example", author="noisy@strict.example") == 250
    account = site.ctx.store.account("mjl")
    # The same again is no reason to refuse it.
    assert send(site, "a@strict.example", author="noisy@strict.example") == 250
    [copy, _] = site.messages("mjl", "Noisy")
    assert copy.startswith(b"X-Mox-Reason: dmarc-policy;")
    assert flags(account, "Noisy") == [Flag.SEEN] * 2
    assert site.messages("mjl", "Rejects") == []


def test_without_rejects_mailbox_nothing_is_kept(make_site: MakeSite, fast_tarpit: None) -> None:
    without = DYNAMIC.replace("\t\tRejectsMailbox: Rejects\n", "")
    site = make_site(dynamic=without, resolver=FakeResolver(ZONE))
    assert send(site, "a@remote.example", author="b@strict.example") == 550
    assert [box.name for box in site.ctx.store.account("mjl").mailboxes()].count("Rejects") == 0


# ---- first use


def test_first_deliveries_to_a_new_account_all_get_in(make_site: MakeSite) -> None:
    junk = """\
		JunkFilter:
			Threshold: 0.9
			Params:
				Onegrams: true
				Twograms: true
				MaxPower: 0.01
				TopWords: 10
"""
    dynamic = DYNAMIC.replace("\tsecond:\n", junk + "\tsecond:\n")
    listener = "\t\tSMTPMaxMessageSize: 100000\n"
    site = make_site(dynamic=dynamic, resolver=FakeResolver(ZONE), listener=listener)
    jobs = [gevent.spawn(send, site, f"u{number}@remote.example", number) for number in range(32)]
    gevent.joinall(jobs, raise_error=True)
    assert [job.value for job in jobs] == [250] * 32
    assert len(site.messages()) == 32
