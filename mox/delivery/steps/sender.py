"""What is known of the sender: reputation first, then SPF and the name of the address."""

from __future__ import annotations

from typing import Final

from mox.delivery.reputation import Method, reputation
from mox.delivery.steps.case import Decision, State
from mox.mailauth.results import DMARCStatus, IPRevStatus, SPFStatus
from mox.smtp.reply import Reply

INBOX: Final = "INBOX"

# RFC 7208 §8.6 has this code for look-ups that did not end.
CANNOT_LOOK_UP: Final = Reply(451, "4.4.3", "temporary error looking up policies of your domain")

_FAILED: Final = frozenset({SPFStatus.FAIL, SPFStatus.SOFTFAIL})
_ACQUAINTED: Final = frozenset({Method.FROM_FULL, Method.TO_FULL})
_IN_WORDS: Final = {True: "junk", False: "not junk", None: "unknown"}


def earlier_mail(state: State) -> Decision | None:
    """Let history decide where it is clear."""
    found = reputation(state.origin, state.case.ask.history(state.mailbox), state.case.now)
    state.reputation = found
    certainty = "conclusive" if found.conclusive else "inconclusive"
    state.note(
        f"reputation: {found.method}, {certainty}, {_IN_WORDS[found.is_junk]} ({found.text})"
    )
    _introduce(state)
    if not found.conclusive:
        return None
    return state.reject(found.method) if found.is_junk else state.accept(found.method)


def _introduce(state: State) -> None:
    """Have strangers wait in the Introbox, if there is one, until the user takes them in."""
    introbox = state.case.account.introbox
    if not introbox or state.mailbox.upper() != INBOX or state.is_forward:
        return
    if state.reputation.method not in _ACQUAINTED:
        state.destined, state.mailbox = state.mailbox, introbox
        state.note("first to the introbox")


def spf(state: State) -> Decision | None:
    """Refuse a stranger that may not send for the domain it names, or who hides whether it may."""
    found = state.case.facts.authentication
    assert found is not None, "mail of our own users is accepted before"
    if not state.reputation.is_weak:
        return None
    if found.spf.identity == "mailfrom" and found.spf.status in _FAILED:
        state.note(f"spf {found.spf.status}")
        return state.reject("spf-policy")
    # RFC 7489 §6.6.3: without an answer there may well be a policy that forbids it.
    if found.dmarc.status is DMARCStatus.TEMPERROR:
        state.note("dmarc temperror")
        return state.reject("auth-temperror", CANNOT_LOOK_UP)
    return None


def reverse_name(state: State) -> Decision | None:
    """Be wary of a stranger whose address has no name; refuse it when history leans that way."""
    found = state.case.facts.authentication
    assert found is not None, "mail of our own users is accepted before"
    if not state.reputation.is_weak or found.iprev.status is IPRevStatus.PASS:
        return None
    state.is_suspicious = True
    state.note(f"iprev {found.iprev.status}: {found.iprev.problem or 'no matching name'}")
    return state.reject("iprev") if state.reputation.is_junk else None
