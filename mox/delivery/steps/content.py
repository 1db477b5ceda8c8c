"""What the message itself says, for senders that nothing certain is known of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mox.delivery.reputation import Method
from mox.delivery.steps.case import Decision, State
from mox.junk import Classification, WordScore
from mox.mailauth.results import DMARCStatus
from mox.smtp.reply import Reply
from mox.store.errors import StoreError

# The threshold moves by up to so much in both directions, so that nobody can feel the way to it.
JITTER: Final = 0.05
STRICT_THRESHOLD: Final = 0.25


def subjectpass(state: State) -> Decision | None:
    """Let a message in that carries the word which its sender was told."""
    if not state.case.account.subject_pass.period:
        return None
    problem = state.case.ask.subjectpass_problem()
    if not problem:
        return state.accept("subjectpass")
    state.note(f"subjectpass: {problem}")
    return None


def content(state: State) -> Decision | None:
    """Ask the content filter; what it refuses may be told a way in."""
    config = state.case.account.junk_filter
    if config is None:
        return None
    try:
        found = state.case.ask.classify()
    except StoreError as e:
        state.note("content filter cannot be used")
        return state.reject("junk-filter-error", error=e)
    if found is None:
        return None
    threshold = config.threshold + JITTER * (2 * state.case.ask.chance() - 1)
    why = _strict(state) if threshold > STRICT_THRESHOLD else ""
    if why:
        threshold = STRICT_THRESHOLD
    accepted = found.probability <= threshold or not (found.significant or state.is_suspicious)
    _note(state, found, threshold, why, accepted)
    if accepted:
        return None
    # Not far above: a person who reads the answer should have a way in.
    is_weakly_junk = found.probability < threshold + (1 - threshold) / 2
    reason = "junk-content-strict" if why else "junk-content"
    return (_hint(state) if is_weakly_junk else None) or state.reject(reason)


def _strict(state: State) -> str:
    """Return why little is tolerated, "" when there is no reason."""
    facts = state.case.facts
    if state.is_suspicious:
        return "address without matching name"
    if not facts.received.tls:
        return "connection without TLS"
    if not state.is_forward and not facts.is_addressed_to(state.case.path):
        return "recipient in neither To nor Cc"
    return ""


def _note(state: State, found: Classification, threshold: float, why: str, accepted: bool) -> None:
    verdict = "not junk" if accepted else "junk"
    weight = "significant" if found.significant else "not significant"
    strict = f" (stricter: {why})" if why else ""
    state.note(
        f"content: {verdict} ({weight}), spamscore {found.probability:.2f}, "
        f"threshold {threshold:.2f}{strict} "
        f"(ham words: {_words(found.ham_words)}), (spam words: {_words(found.spam_words)})"
    )


def _words(found: Sequence[WordScore]) -> str:
    return ", ".join(f"{each.word} {each.score:.3f}" for each in found)


def blocklists(state: State) -> Decision | None:
    """Ask block lists last: they know the client, not the user."""
    found = state.case.ask.blocklisted()
    if found is None:
        return None
    state.note(f"listed at {found.zone}: {found.explanation or 'no explanation'}")
    return _hint(state) or state.reject("dns-blocklisted")


def _hint(state: State) -> Decision | None:
    """Tell a stranger who proves the From address how to get in."""
    facts, account = state.case.facts, state.case.account
    found = facts.authentication
    if not account.subject_pass.period or facts.header_from is None or found is None:
        return None
    if found.dmarc.status is not DMARCStatus.PASS or state.reputation.method is not Method.NONE:
        return None
    reply = Reply(550, "5.7.1", state.case.ask.subjectpass_offer())
    return state.reject("give-subjectpass", reply)


def stranger(state: State) -> Decision:
    """Take the message in: there is nothing against it. Its sender waits a little."""
    no_delay = state.case.account.no_first_time_sender_delay or state.is_forward
    return state.accept("no-bad-signals", delays=not no_delay)
