"""What the sessions of one worker share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mox.delivery import content
from mox.imap.grammar.mailbox import canonical
from mox.imapd.feed import Feeds

if TYPE_CHECKING:
    from mox.config.account import Account as AccountConfig
    from mox.junk.mailboxflags import MailboxFlags
    from mox.serving.context import Context
    from mox.serving.login import Authenticator
    from mox.store import Store
    from mox.store.model import Mailbox


@dataclass(frozen=True, slots=True)
class Service:
    """The worker's surroundings as sessions see them."""

    ctx: Context
    authenticator: Authenticator
    feeds: Feeds

    @property
    def store(self) -> Store:
        return self.ctx.store

    def append_limit(self, listener: str) -> int:
        """The largest message that APPEND takes on a listener."""
        # RFC 7889 §5: number; some clients read it into 32 bits and take a larger one as 0.
        return min(self.ctx.config.static.listeners[listener].smtp_max_message_size, 0x7FFFFFFF)

    def account_config(self, account: str) -> AccountConfig | None:
        """The account's configuration in force; None when it was just removed."""
        return self.ctx.config.dynamic.accounts.get(account)

    def quota(self, account: str) -> int:
        """Octets that the account's messages may take; 0 for no limit."""
        config = self.account_config(account)
        own = 0 if config is None else config.quota_message_size
        return max(own or self.ctx.config.static.quota_message_size, 0)

    def inboxes(self, account: str) -> frozenset[str]:
        """Names of the mailboxes that new mail may come to, but those of mailing lists."""
        config = self.account_config(account)
        names = {"INBOX"}
        for destination in config.destinations.values() if config is not None else ():
            names.add(canonical(destination.mailbox))
            names.update(
                canonical(rule.mailbox)
                for rule in destination.rulesets
                if not rule.list_allow_domain
            )
        return frozenset(names)

    def marks(self, account: str) -> MailboxFlags | None:
        """The junk flags that messages get from the mailbox they enter."""
        config = self.account_config(account)
        return None if config is None else content.marks(config)

    def marks_what_enters(self, account: str, mailbox: Mailbox) -> bool:
        """Whether the mailbox decides on the junk flags of what enters it."""
        marks = self.marks(account)
        return marks is not None and marks.mark(mailbox.name, mailbox.special_use) is not None
