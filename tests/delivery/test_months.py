"""Months in the life of three accounts: the same senders, different users, marks over IMAP."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.delivery.months import ACCOUNTS, DAY, DYNAMIC, Play, Sender
from tests.imapd.harness import Site

FRIEND = Sender("friend@good.example", "198.51.100.1")
COLLEAGUE = Sender("colleague@good.example", "198.51.100.1")
FORGER = Sender("friend@good.example", "203.0.113.66")
SHOP = Sender("offers@shop.example", "198.51.100.20")
SHOP2 = Sender("sales@shop.example", "198.51.100.20")
SHOP3 = Sender("news@shop.example", "198.51.100.20")
SPAMMER = Sender("x1@spam.example", "203.0.113.5")
SPAMMERS = [Sender(f"x{i}@spam{i}.example", "203.0.113.5") for i in range(2, 6)]
HIDDEN = Sender("who@nowhere.example", "203.0.113.99")
SENDERS = [FRIEND, COLLEAGUE, FORGER, SHOP, SHOP2, SHOP3, SPAMMER, *SPAMMERS, HIDDEN]

ZONE: dict[tuple[str, str], list[str]] = {
    ("good.example", "TXT"): ['"v=spf1 ip4:198.51.100.1 ?all"'],
    ("shop.example", "TXT"): ['"v=spf1 ip4:198.51.100.20 -all"'],
    ("1.100.51.198.in-addr.arpa", "PTR"): ["mta.good.example."],
    ("mta.good.example", "A"): ["198.51.100.1"],
    ("20.100.51.198.in-addr.arpa", "PTR"): ["mta.shop.example."],
    ("mta.shop.example", "A"): ["198.51.100.20"],
    ("5.113.0.203.in-addr.arpa", "PTR"): ["mta.spam.example."],
    ("mta.spam.example", "A"): ["203.0.113.5"],
}


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    site = Site(tmp_path, dynamic=DYNAMIC)
    yield Play(site, ZONE)
    site.stop()


def test_half_a_year_of_three_users(play: Play) -> None:
    """Each step with the decision that the rules ask for, in words."""
    ann, bob, cid = ACCOUNTS

    # A stranger gets in, everywhere.
    for account in ACCOUNTS:
        assert play.deliver(account, SHOP) == ("accept", "no-bad-signals")
    # Ann calls it junk, bob files it; cid says nothing.
    play.move(ann, 1, "Junk")
    play.move(bob, 2, "Archive")
    play.now += DAY
    assert play.deliver(ann, SHOP) == ("451", "msgfromfull")
    assert play.deliver(bob, SHOP) == ("accept", "msgfromfull")
    assert play.deliver(cid, SHOP) == ("accept", "no-bad-signals")
    # Its colleague suffers a little: one bad address does not convict a domain.
    assert play.deliver(ann, SHOP2) == ("accept", "no-bad-signals")
    play.mark(ann, play.number, "$Junk")
    assert play.deliver(ann, SHOP3) == ("accept", "no-bad-signals")
    play.mark(ann, play.number, "$Junk")
    # Three do.
    play.now += DAY
    assert play.deliver(ann, Sender("new@shop.example", SHOP.ip)) == ("451", "msgfromdomain")
    assert play.deliver(bob, SHOP3) == ("accept", "msgfromdomain")
    # The refused one was wanted after all.
    play.move(ann, play.number - 1, "Archive")
    assert play.deliver(ann, Sender("new@shop.example", SHOP.ip)) == ("accept", "msgfromfull")

    # Cid writes to a friend: the answer comes in, and so does mail of the friend's colleague.
    play.write_to(cid, FRIEND.address)
    assert play.deliver(cid, FRIEND) == ("accept", "msgtofull")
    assert play.deliver(cid, COLLEAGUE) == ("accept", "msgtodomain")
    assert play.deliver(ann, COLLEAGUE) == ("accept", "no-bad-signals")
    # With a verdict on proven mail a forgery of it is told from it.
    assert play.deliver(bob, FRIEND) == ("accept", "no-bad-signals")
    play.mark(bob, play.number, "$NotJunk")
    assert play.deliver(bob, FRIEND) == ("accept", "msgfromfull")
    word, reason = play.deliver(bob, FORGER)
    assert (word, reason) == ("accept", "no-bad-signals"), "inconclusive, nothing else against it"

    # Spam from one address with ever new names: the network convicts it.
    for sender in SPAMMERS[:2]:
        assert play.deliver(ann, sender) == ("accept", "no-bad-signals")
        play.mark(ann, play.number, "$Junk")
    play.now += DAY
    assert play.deliver(ann, SPAMMERS[2]) == ("451", "ip1")
    assert play.deliver(bob, SPAMMERS[2]) == ("accept", "no-bad-signals")
    # A quarter of a year later nobody remembers the address.
    play.now += 92 * DAY
    assert play.deliver(ann, SPAMMERS[3]) == ("accept", "no-bad-signals")
    # But the shop is not forgotten.
    assert play.deliver(ann, SHOP) == ("451", "msgfromfull")
    # Until its messages are gone, with what was said about them.
    for number in [
        n for n, kept in play.kept[ann].items() if kept.origin.from_domain == "shop.example"
    ]:
        play.expunge(ann, number)
    assert play.deliver(ann, SHOP) == ("accept", "no-bad-signals")
    # Three years after the last word about it an address is a stranger again.
    play.now += 3 * 365 * DAY
    assert play.deliver(bob, FRIEND) == ("accept", "no-bad-signals")


@pytest.mark.parametrize("seed", range(6))
def test_users_who_do_anything(play: Play, seed: int) -> None:
    """Whatever users do, the next decision is the one that the rules ask for (see Play)."""
    chance = random.Random(seed)
    reasons: set[str] = set()
    for _ in range(70):
        play.now += chance.randrange(3 * DAY)
        account = chance.choice(ACCOUNTS)
        _, reason = play.deliver(account, chance.choice(SENDERS))
        reasons.add(reason)
        for _ in range(chance.randrange(3)):
            _act(play, chance, chance.choice(ACCOUNTS))
    assert len(reasons) >= 5, reasons


def _act(play: Play, chance: random.Random, account: str) -> None:
    numbers = sorted(play.kept[account])
    if not numbers:
        return
    number = chance.choice(numbers)
    action = chance.randrange(8)
    if action <= 3:
        if play.kept[account][number].mailbox == "INBOX":
            play.mark(account, number, chance.choice(["$Junk", "$NotJunk", ""]))
    elif action <= 5:
        other = [m for m in ("INBOX", "Junk", "Archive") if m != play.kept[account][number].mailbox]
        play.move(account, number, chance.choice(other))
    elif action == 6:
        play.expunge(account, number)
    else:
        play.write_to(account, chance.choice(SENDERS).address)
