"""Who may write to an alias: members only, unless it is open to all.

Anybody can write a member's address into From, so for an alias of members the address has to be
proven as well: by the login, or by SPF or DKIM of its domain. That is looked at first; what a
forger hears does not depend on whether the address is a member's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mox.config.lookup import ToAlias
from mox.delivery.facts import MessageFacts
from mox.delivery.recipients import may_post
from mox.delivery.replies import POSTING_DENIED
from mox.smtp.reply import Reply

if TYPE_CHECKING:
    from mox.config import Config

# RFC 7372 §3.2: 5.7.26 for several failed authentication checks.
UNPROVEN: Final = Reply(550, "5.7.26", "only for members, and nothing proves who wrote it")
NOT_PROVEN_YET: Final = Reply(451, "4.7.26", "only for members, and DNS does not tell who wrote it")


def refuse_posting(alias: ToAlias, facts: MessageFacts, config: Config) -> tuple[Reply, str] | None:
    """Return why a message may not go to the members of an alias: a reply, and a label for it."""
    if alias.alias.post_public:
        return None
    author, found = facts.header_from, facts.authentication
    if author is not None and facts.validation == "none":
        may_change = found is not None and found.is_unfinished
        return (NOT_PROVEN_YET if may_change else UNPROVEN), "posting-unproven"
    return None if may_post(alias, author, config) else (POSTING_DENIED, "posting-denied")
