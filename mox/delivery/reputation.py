"""What earlier mail says about a sender: from the full address down to the network.

A pure function of the facts of a message and of questions about history. Its steps are tried in
order; the first that finds any history decides, also when what it finds is not conclusive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from mox.store.history import Verdict
from mox.store.origin import Kind, Origin, address_name

DAY_S: Final = 86400
YEAR_S: Final = 365 * DAY_S

# How far back each kind of question looks, and at how many messages.
ADDRESS_WINDOW_S: Final = 3 * YEAR_S
DOMAIN_WINDOW_S: Final = 2 * YEAR_S
IDENTITY_WINDOW_S: Final = YEAR_S // 2
NETWORK_WINDOW_S: Final = YEAR_S // 4
ADDRESS_MESSAGES: Final = 2
DOMAIN_MESSAGES: Final = 20
IDENTITY_MESSAGES: Final = 50
NETWORK_MESSAGES: Final = 50

# Of a domain: more than so many percent wanted is good; all junk convicts it only when it came
# from so many different people there.
GOOD_PERCENT: Final = 80
BAD_LOCALPARTS: Final = 3
# Of a DKIM or SPF identity: shares of junk that count as a vote.
HAM_VOTE: Final = 0.1
SPAM_VOTE: Final = 0.9
# Of a network: shares of junk that lean, that settle it, and from how many messages on.
LEANING: Final = (0.25, 0.75)
SETTLED: Final = (0.1, 0.9)
ENOUGH: Final = (2, 5, 10)


class Method(StrEnum):
    """What decided. The names are labels of metrics and stand in X-Mox-Reason."""

    FROM_FULL = "msgfromfull"
    TO_FULL = "msgtofull"
    FROM_DOMAIN = "msgfromdomain"
    TO_DOMAIN = "msgtodomain"
    FROM_ORG_DOMAIN = "msgfromorgdomain"
    TO_ORG_DOMAIN = "msgtoorgdomain"
    DKIM_SPF = "dkimspf"
    IP1 = "ip1"
    IP2 = "ip2"
    IP3 = "ip3"
    NONE = "none"


# Methods that say little about the person who writes.
WEAK: Final = frozenset({Method.DKIM_SPF, Method.IP1, Method.IP2, Method.IP3, Method.NONE})


class History(Protocol):
    """Questions about earlier mail for one mailbox; see mox.store.history."""

    def verdicts(
        self, kind: Kind, name: bytes, since: int, most: int, *, validated: bool = False
    ) -> Sequence[Verdict]: ...

    def sent_to(self, kind: Kind, name: bytes, since: int) -> bool: ...


@dataclass(frozen=True, slots=True)
class Reputation:
    """The finding. is_junk None: history speaks for neither."""

    is_junk: bool | None
    conclusive: bool
    method: Method
    text: str

    @property
    def is_weak(self) -> bool:
        return self.method in WEAK


NOTHING: Final = Reputation(None, False, Method.NONE, "no earlier mail of this sender")


@dataclass(frozen=True, slots=True)
class _Question:
    """A message and whom to ask about it."""

    origin: Origin
    history: History
    now: int

    def verdicts(
        self, kind: Kind, name: str | bytes, window_s: int, most: int, *, validated: bool = False
    ) -> Sequence[Verdict]:
        octets = name.encode() if isinstance(name, str) else name
        return self.history.verdicts(kind, octets, self.now - window_s, most, validated=validated)

    def sent_to(self, kind: Kind, name: str, window_s: int) -> bool:
        return self.history.sent_to(kind, name.encode(), self.now - window_s)


Step = Callable[[_Question], Reputation | None]


def reputation(origin: Origin, history: History, now: int) -> Reputation:
    """Judge the sender of a message by what the account knows. `now` in seconds, as Received."""
    question = _Question(origin, history, now)
    steps = (*_FROM_STEPS, *_SENDER_STEPS) if origin.from_domain else _SENDER_STEPS
    for step in steps:
        found = step(question)
        if found is not None:
            return found
    return NOTHING


# ---- the From address


def _from_address(question: _Question) -> Reputation | None:
    origin = question.origin
    name = address_name(origin.from_localpart, origin.from_domain)
    window_s, most = ADDRESS_WINDOW_S, ADDRESS_MESSAGES
    is_valid = origin.from_validated
    found = question.verdicts(
        Kind.FROM_ADDRESS, name, window_s, most, validated=origin.from_validated
    )
    if found:
        text = f"{_counted(found)} from this address"
        return Reputation(_is_bad(found), is_valid, Method.FROM_FULL, text)
    if is_valid:
        return None
    found = question.verdicts(Kind.FROM_ADDRESS, name, window_s, most, validated=True)
    return _forged(found, Method.FROM_FULL, "this address")


def _to_address(question: _Question) -> Reputation | None:
    origin = question.origin
    name = address_name(origin.from_localpart, origin.from_domain)
    if not question.sent_to(Kind.SENT_ADDRESS, name, ADDRESS_WINDOW_S):
        return None
    return Reputation(False, True, Method.TO_FULL, "we wrote to this address")


def _is_bad(found: Sequence[Verdict]) -> bool:
    """Junk when the newest is, and the one before it as well (if there is one)."""
    return all(verdict.is_junk for verdict in found[:2])


def _forged(found: Sequence[Verdict], method: Method, what: str) -> Reputation | None:
    """A message that proves nothing, of a sender whose earlier mail proved who it is from."""
    if not found:
        return None
    text = f"not validated, unlike {_counted(found[:2])} from {what}"
    return Reputation(True, _is_bad(found), method, text)


# ---- the domain of From


def _domain_step(kind: Kind, method: Method, name_of: Callable[[Origin], str]) -> Step:
    what = "this domain" if kind is Kind.FROM_DOMAIN else "this organizational domain"

    def step(question: _Question) -> Reputation | None:
        origin = question.origin
        name = name_of(origin)
        found = question.verdicts(
            kind, name, DOMAIN_WINDOW_S, DOMAIN_MESSAGES, validated=origin.from_validated
        )
        if found:
            return _of_domain(found, method, what)
        if origin.from_validated:
            return None
        found = question.verdicts(kind, name, DOMAIN_WINDOW_S, ADDRESS_MESSAGES, validated=True)
        return _forged(found, method, what)

    return step


def _of_domain(found: Sequence[Verdict], method: Method, what: str) -> Reputation:
    wanted = sum(not verdict.is_junk for verdict in found)
    localparts = {verdict.localpart for verdict in found}
    text = f"{_counted(found)} from {what}"
    if 100 * wanted // len(found) > GOOD_PERCENT:
        return Reputation(False, True, method, text)
    if not wanted:
        is_enough = len(localparts) >= BAD_LOCALPARTS
        return Reputation(True, is_enough, method, f"{text}, {len(localparts)} addresses")
    return Reputation(None, False, method, text)


def _to_domain_step(kind: Kind, method: Method, name_of: Callable[[Origin], str]) -> Step:
    what = "this domain" if kind is Kind.SENT_DOMAIN else "this organizational domain"

    def step(question: _Question) -> Reputation | None:
        if not question.sent_to(kind, name_of(question.origin), DOMAIN_WINDOW_S):
            return None
        return Reputation(False, True, method, f"we wrote to {what}")

    return step


# ---- who sent it


def _dkim_spf(question: _Question) -> Reputation | None:
    messages = hams = spams = 0
    voices = []
    for name, found in _identities(question):
        share = _junk_share(found)
        messages += len(found)
        hams += share < HAM_VOTE
        spams += share > SPAM_VOTE
        voices.append(f"{name} {share:.2f}")
    if not voices:
        return None
    text = f"share of junk: {', '.join(voices)}"
    if hams and not spams:
        return Reputation(False, True, Method.DKIM_SPF, text)
    if spams and not hams:
        return Reputation(True, messages > 1, Method.DKIM_SPF, text)
    return Reputation(None, False, Method.DKIM_SPF, text)


def _identities(question: _Question) -> Iterator[tuple[str, Sequence[Verdict]]]:
    """Yield what is known of each signing domain, and of one SPF identity: the narrowest."""
    origin = question.origin
    window_s, most = IDENTITY_WINDOW_S, IDENTITY_MESSAGES
    for domain in origin.dkim_domains:
        found = question.verdicts(Kind.DKIM_DOMAIN, domain, window_s, most)
        if found:
            yield f"dkim {domain}", found
    for kind, name in _spf_names(origin):
        found = question.verdicts(kind, name, window_s, most)
        if found:
            yield f"spf {name}", found
            return


def _spf_names(origin: Origin) -> list[tuple[Kind, str]]:
    if origin.mail_from_validated and origin.mail_from_domain:
        full = address_name(origin.mail_from_localpart, origin.mail_from_domain)
        return [
            (Kind.MAIL_FROM_ADDRESS, full),
            (Kind.MAIL_FROM_DOMAIN, origin.mail_from_domain),
        ]
    if origin.ehlo_validated and origin.ehlo_domain:
        return [(Kind.EHLO_DOMAIN, origin.ehlo_domain)]
    return []


def _networks(question: _Question) -> Reputation | None:
    """Judge by the narrowest network with any history."""
    methods = (Method.IP1, Method.IP2, Method.IP3)
    for network, method, enough in zip(question.origin.networks, methods, ENOUGH, strict=False):
        found = question.verdicts(Kind.NETWORK, network, NETWORK_WINDOW_S, NETWORK_MESSAGES)
        if found:
            return _of_network(found, method, enough)
    return None


def _of_network(found: Sequence[Verdict], method: Method, enough: int) -> Reputation:
    share = _junk_share(found)
    is_junk = False if share < LEANING[0] else True if share > LEANING[1] else None
    is_settled = share <= SETTLED[0] or share >= SETTLED[1]
    text = f"{_counted(found)} from this network"
    return Reputation(is_junk, is_settled and len(found) >= enough, method, text)


def _junk_share(found: Sequence[Verdict]) -> float:
    return sum(verdict.is_junk for verdict in found) / len(found)


def _counted(found: Sequence[Verdict]) -> str:
    junk = sum(verdict.is_junk for verdict in found)
    return f"{len(found) - junk} wanted and {junk} junk"


def _org_domain(origin: Origin) -> str:
    return origin.from_org_domain


def _domain(origin: Origin) -> str:
    return origin.from_domain


_FROM_STEPS: Final[tuple[Step, ...]] = (
    _from_address,
    _to_address,
    _domain_step(Kind.FROM_DOMAIN, Method.FROM_DOMAIN, _domain),
    _to_domain_step(Kind.SENT_DOMAIN, Method.TO_DOMAIN, _domain),
    _domain_step(Kind.FROM_ORG_DOMAIN, Method.FROM_ORG_DOMAIN, _org_domain),
    _to_domain_step(Kind.SENT_ORG_DOMAIN, Method.TO_ORG_DOMAIN, _org_domain),
)
_SENDER_STEPS: Final[tuple[Step, ...]] = (_dkim_spf, _networks)
