"""Which DMARC evaluations are kept for the reports that the owners of domains ask for.

One for each recipient that took the message or refused it because of the DMARC policy. Other
refusals are nobody's business, and mail of our own users is not evaluated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mox.address import Domain
from mox.config.lookup import ToAccount
from mox.delivery.arrival import Decided, Outcome, Result
from mox.delivery.facts import MessageFacts
from mox.delivery.steps.policy import DMARC_POLICY
from mox.mailauth.dmarcevaluation import DMARCEvaluation, report_evaluation
from mox.store import evaluations
from mox.store.origin import Kind

if TYPE_CHECKING:
    from mox.config import Config
    from mox.store import Store

# Judged messages of a domain that are looked at for one that is not junk.
_MOST_VERDICTS: Final = 100


def keep(store: Store, config: Config, result: Result) -> None:
    """Keep what is to be reported about a message; it is written some time after."""
    found = result.facts.authentication
    record = found.dmarc.record if found is not None else None
    if record is None or not record.aggregate_reports:
        return
    if config.static.no_outgoing_dmarc_reports:
        return
    made = [
        evaluation
        for outcome in result.outcomes
        if (evaluation := _evaluation(store, result.facts, outcome)) is not None
    ]
    if made:
        store.later_write(lambda txn: evaluations.add(txn, made))


def _evaluation(store: Store, facts: MessageFacts, outcome: Outcome) -> DMARCEvaluation | None:
    found, remote_ip = facts.authentication, facts.received.remote_ip
    path, mail_from = outcome.recipient.path, facts.reverse_path.domain
    if found is None or remote_ip is None or not isinstance(path.domain, Domain):
        return None
    is_rejected = outcome.reply is not None
    if is_rejected:
        if outcome.reason != DMARC_POLICY:
            return None
    elif outcome.decisions and all(each.decision.is_reject for each in outcome.decisions):
        # It was refused in all but name: a copy is where the user wants such messages.
        return None
    return report_evaluation(
        found,
        remote_ip=remote_ip,
        envelope_to=path.domain,
        envelope_from=mail_from if isinstance(mail_from, Domain) else None,
        rejected=is_rejected,
        # Of an alias, whichever member's made it pass.
        overrides=tuple(
            dict.fromkeys(
                override for each in outcome.decisions for override in each.decision.overrides
            )
        ),
        optional=_is_optional(store, outcome),
        when=facts.received.when,
    )


def _is_optional(store: Store, outcome: Outcome) -> bool:
    """Whether this alone is no reason to send a report.

    Two servers must not go on and on about each other's reports, and nobody must be able to have us
    write to somebody whom we have nothing to do with.
    """
    to = outcome.recipient.to
    if isinstance(to, ToAccount) and to.reports:
        return True
    if outcome.reply is None:
        return False
    return not any(_is_known(store, decided) for decided in outcome.decisions)


def _is_known(store: Store, decided: Decided) -> bool:
    """Whether there was good mail that was proven to be from the domain in From, or mail to it."""
    origin, account = decided.decision.origin, store.find_account(decided.account)
    if origin is None or account is None:
        return False
    mailbox = decided.decision.destined or decided.decision.mailbox
    history = account.history(account.mailbox_id(mailbox))
    name = origin.from_org_domain.encode()
    if history.sent_to(Kind.SENT_ORG_DOMAIN, name, 0):
        return True
    verdicts = history.verdicts(Kind.FROM_ORG_DOMAIN, name, 0, _MOST_VERDICTS, validated=True)
    return any(not verdict.is_junk for verdict in verdicts)
