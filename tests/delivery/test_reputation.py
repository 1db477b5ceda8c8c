"""Each step of reputation, with its window, limit and the borders of its shares."""

from __future__ import annotations

import pytest

from mox.delivery.reputation import Method, Reputation, reputation
from mox.store.origin import Origin
from tests.delivery.histories import DAY, NETWORKS, NOW, FakeHistory, origin

FORGED = {
    "mail_from_validated": False,
    "from_validation": "none",
    "dkim_domains": (),
    "networks": (),
}
# Someone else of the same domain, of the same organization, and with nothing in common.
COLLEAGUE = origin("b@sub.x.example", networks=(), dkim_domains=(), mail_from_validated=False)
NEIGHBOUR = origin("c@other.x.example", networks=(), dkim_domains=(), mail_from_validated=False)


def ask(history: FakeHistory, sender: Origin | None = None) -> Reputation:
    return reputation(sender or origin(), history, NOW)


def check(found: Reputation, expected: tuple[str, bool | None, bool]) -> None:
    assert (found.method.value, found.is_junk, found.conclusive) == expected


def only(sender: Origin) -> Origin:
    """The sender as far as the From field goes."""
    return origin(
        f"{sender.from_localpart}@{sender.from_domain}",
        networks=(),
        dkim_domains=(),
        mail_from_validated=False,
        from_validation=sender.from_validation,
    )


def test_nothing_is_known_of_a_stranger() -> None:
    check(ask(FakeHistory()), ("none", None, False))
    stranger = origin("z@elsewhere.example", networks=(b"a", b"b", b"c"))
    check(ask(FakeHistory().add(origin(), "jjj"), stranger), ("none", None, False))


# ---- 1 and 2: the address


@pytest.mark.parametrize(
    ("verdicts", "junk"),
    [("j", True), ("n", False), ("jj", True), ("nj", False), ("jn", False), ("njj", True)],
)
def test_1_same_address_and_validation(verdicts: str, junk: bool) -> None:
    history = FakeHistory().add(only(origin()), verdicts)
    check(ask(history), ("msgfromfull", junk, True))
    unproven = origin(**FORGED)
    history = FakeHistory().add(unproven, verdicts)
    check(ask(history, unproven), ("msgfromfull", junk, False))


@pytest.mark.parametrize(
    ("verdicts", "conclusive"), [("j", True), ("jj", True), ("n", False), ("nj", False)]
)
def test_2_unproven_message_of_an_address_that_proves_itself(
    verdicts: str, conclusive: bool
) -> None:
    history = FakeHistory().add(origin(), verdicts)
    check(ask(history, origin(**FORGED)), ("msgfromfull", True, conclusive))


def test_the_window_for_addresses_is_three_years() -> None:
    history = FakeHistory().add(only(origin()), "n", 3 * 365 - 1)
    check(ask(history), ("msgfromfull", False, True))
    assert ask(FakeHistory().add(only(origin()), "n", 3 * 365)).method is Method.NONE


# ---- 3: we wrote to the address


@pytest.mark.parametrize("sender", [origin(), origin(**FORGED)])
def test_3_we_wrote_to_the_address(sender: Origin) -> None:
    history = FakeHistory(sent=[("a@sub.x.example", NOW - 3 * 365 * DAY)])
    check(ask(history, sender), ("msgtofull", False, True))
    history = FakeHistory(sent=[("a@sub.x.example", NOW - 3 * 365 * DAY - 1)])
    assert ask(history, sender).method is Method.NONE


def test_verdicts_on_the_address_come_before_what_we_sent() -> None:
    history = FakeHistory(sent=[("a@sub.x.example", NOW)]).add(only(origin()), "j")
    check(ask(history), ("msgfromfull", True, True))


# ---- 4 to 9: domain and organizational domain

OF_DOMAIN = [
    ("n", 1, (False, True)),
    ("n" * 9 + "j" * 2, 1, (False, True)),  # 81 percent
    ("n" * 8 + "j" * 2, 1, (None, False)),  # exactly 80
    ("nj", 1, (None, False)),
    ("j", 1, (True, False)),
    ("jjj", 1, (True, False)),
    ("jjj", 2, (True, False)),
    ("jjj", 3, (True, True)),
    ("n" * 20 + "j" * 20, 3, (True, True)),  # only the last 20 count
]


def mixed(base: Origin, verdicts: str, people: int) -> FakeHistory:
    history = FakeHistory()
    for i, verdict in enumerate(verdicts):
        who = origin(
            f"p{i % people}@{base.from_domain}",
            networks=(),
            dkim_domains=(),
            mail_from_validated=False,
            from_validation=base.from_validation,
        )
        history.add(who, verdict, 100 - i)
    return history


@pytest.mark.parametrize(("verdicts", "people", "result"), OF_DOMAIN)
def test_4_same_domain(verdicts: str, people: int, result: tuple[bool | None, bool]) -> None:
    history = mixed(COLLEAGUE, verdicts, people)
    check(ask(history), ("msgfromdomain", *result))


@pytest.mark.parametrize(("verdicts", "people", "result"), OF_DOMAIN)
def test_7_same_organizational_domain(
    verdicts: str, people: int, result: tuple[bool | None, bool]
) -> None:
    history = mixed(NEIGHBOUR, verdicts, people)
    check(ask(history), ("msgfromorgdomain", *result))


@pytest.mark.parametrize(
    ("known", "method"), [(COLLEAGUE, "msgfromdomain"), (NEIGHBOUR, "msgfromorgdomain")]
)
@pytest.mark.parametrize(("verdicts", "conclusive"), [("j", True), ("nj", False), ("n", False)])
def test_5_and_8_unproven_message_of_a_domain_that_proves_itself(
    known: Origin, method: str, verdicts: str, conclusive: bool
) -> None:
    history = FakeHistory().add(known, verdicts)
    check(ask(history, origin(**FORGED)), (method, True, conclusive))


@pytest.mark.parametrize(
    ("address", "method"),
    [("q@sub.x.example", "msgtodomain"), ("q@third.x.example", "msgtoorgdomain")],
)
@pytest.mark.parametrize("sender", [origin(), origin(**FORGED)])
def test_6_and_9_we_wrote_to_the_domain(address: str, method: str, sender: Origin) -> None:
    history = FakeHistory(sent=[(address, NOW - 2 * 365 * DAY)])
    check(ask(history, sender), (method, False, True))
    history = FakeHistory(sent=[(address, NOW - 2 * 365 * DAY - 1)])
    assert ask(history, sender).method is Method.NONE


@pytest.mark.parametrize("known", [COLLEAGUE, NEIGHBOUR])
def test_the_window_for_domains_is_two_years(known: Origin) -> None:
    assert ask(FakeHistory().add(known, "n", 2 * 365 - 1)).is_junk is False
    assert ask(FakeHistory().add(known, "n", 2 * 365)).method is Method.NONE


# ---- 10: DKIM and SPF


def signed(*domains: str, **fields: object) -> Origin:
    """A message without From, signed by some domains."""
    known = {"mail_from_validated": False, "networks": (), "dkim_domains": domains}
    return origin("@", **{"from_domain": "", "mail_from_domain": ""} | known | fields)


@pytest.mark.parametrize(
    ("verdicts", "result"),
    [
        ({"one.example": "n"}, (False, True)),
        ({"one.example": "j"}, (True, False)),  # one message is not enough
        ({"one.example": "jj"}, (True, True)),
        ({"one.example": "j" * 19 + "n"}, (True, True)),  # 0.95
        ({"one.example": "j" * 9 + "n"}, (None, False)),  # 0.9
        ({"one.example": "n" * 9 + "j"}, (None, False)),  # 0.1
        ({"one.example": "n" * 19 + "j"}, (False, True)),  # 0.05
        ({"one.example": "n", "two.example": "nj"}, (False, True)),
        ({"one.example": "n", "two.example": "jj"}, (None, False)),
        ({"one.example": "j", "two.example": "j"}, (True, True)),
        ({"one.example": "nj", "two.example": "nj"}, (None, False)),
        ({"one.example": "n" * 50 + "j" * 50}, (True, True)),  # only the last 50 count
    ],
)
def test_10_signing_domains(verdicts: dict[str, str], result: tuple[bool | None, bool]) -> None:
    history = FakeHistory()
    for domain, each in verdicts.items():
        history.add(signed(domain), each)
    check(ask(history, signed("one.example", "two.example")), ("dkimspf", *result))


@pytest.mark.parametrize(
    ("known", "sender", "method"),
    [
        ({"mail_from_localpart": "a"}, {"mail_from_localpart": "a"}, "dkimspf"),
        ({"mail_from_localpart": "b"}, {"mail_from_localpart": "a"}, "dkimspf"),
        ({}, {"mail_from_validated": False}, "none"),
        ({"mail_from_validated": False}, {}, "none"),
        ({"mail_from_domain": "other.example"}, {}, "none"),
    ],
)
def test_10_spf_identity_is_the_full_sender_or_else_its_domain(
    known: dict[str, object], sender: dict[str, object], method: str
) -> None:
    base = {"mail_from_domain": "m.example", "mail_from_validated": True}
    history = FakeHistory().add(signed(**base | known), "nn")
    assert ask(history, signed(**base | sender)).method.value == method


def test_10_the_full_sender_hides_its_domain() -> None:
    base = {"mail_from_domain": "m.example", "mail_from_validated": True}
    history = FakeHistory()
    history.add(signed(**base, mail_from_localpart="a"), "n")
    history.add(signed(**base, mail_from_localpart="b"), "jjjj")
    check(ask(history, signed(**base, mail_from_localpart="a")), ("dkimspf", False, True))


def test_10_helo_counts_when_it_was_what_spf_proved() -> None:
    helo = signed(ehlo_domain="h.example", ehlo_validated=True)
    history = FakeHistory().add(helo, "n")
    check(ask(history, helo), ("dkimspf", False, True))
    assert ask(history, signed(ehlo_domain="h.example")).method is Method.NONE


def test_10_the_window_is_half_a_year_and_ends_the_search() -> None:
    sender = signed("one.example")
    assert ask(FakeHistory().add(sender, "nj", 182), sender).method is Method.DKIM_SPF
    assert ask(FakeHistory().add(sender, "nj", 183), sender).method is Method.NONE
    with_networks = signed("one.example", networks=NETWORKS)
    history = FakeHistory().add(sender, "nj").add(signed(networks=NETWORKS), "nnnn")
    check(ask(history, with_networks), ("dkimspf", None, False))


# ---- 11: networks


@pytest.mark.parametrize(
    ("width", "verdicts", "result"),
    [
        (1, "n", (False, False)),
        (1, "nn", (False, True)),
        (1, "jj", (True, True)),
        (1, "j" * 9 + "n", (True, True)),  # exactly 0.9
        (1, "n" * 9 + "j", (False, True)),  # exactly 0.1
        (1, "jjjn", (None, False)),  # exactly 0.75
        (1, "jjjjn", (True, False)),  # 0.8
        (1, "nnnj", (None, False)),  # exactly 0.25
        (1, "nnnnj", (False, False)),
        (2, "jjjj", (True, False)),
        (2, "jjjjj", (True, True)),
        (3, "n" * 9, (False, False)),
        (3, "n" * 10, (False, True)),
        (1, "n" * 50 + "j" * 50, (True, True)),  # only the last 50 count
    ],
)
def test_11_networks(width: int, verdicts: str, result: tuple[bool | None, bool]) -> None:
    known = signed(networks=(b"x", b"y", b"z")[: width - 1] + NETWORKS[width - 1 :])
    history = FakeHistory().add(known, verdicts)
    check(ask(history, signed(networks=NETWORKS)), (f"ip{width}", *result))


def test_11_the_narrowest_network_with_history_decides() -> None:
    history = FakeHistory().add(signed(networks=NETWORKS), "n")
    history.add(signed(networks=(b"x", *NETWORKS[1:])), "j" * 20)
    check(ask(history, signed(networks=NETWORKS)), ("ip1", False, False))


def test_11_the_window_is_a_quarter_of_a_year() -> None:
    sender = signed(networks=NETWORKS)
    assert ask(FakeHistory().add(sender, "nn", 91)).method is Method.IP1
    assert ask(FakeHistory().add(sender, "nn", 92)).method is Method.NONE


def test_messages_without_from_are_judged_by_who_sent_them() -> None:
    history = FakeHistory(sent=[("@", NOW)]).add(signed("one.example"), "n")
    assert ask(history, signed("one.example")).method is Method.DKIM_SPF


def test_the_same_verdicts_prove_more_the_closer_they_are() -> None:
    """The whole ladder: each step hides those below it."""
    history = FakeHistory()
    ladder = [
        (signed(networks=NETWORKS), "ip1"),
        (signed("sub.x.example"), "dkimspf"),
        (NEIGHBOUR, "msgfromorgdomain"),
        (COLLEAGUE, "msgfromdomain"),
        (only(origin()), "msgfromfull"),
    ]
    for known, method in ladder:
        history.add(known, "nnnnn")
        assert ask(history).method.value == method
