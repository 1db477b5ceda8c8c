"""Subjectpass for one recipient: the token that a refusal offers, and whether a subject has it.

    passes.offer(account, canonical, sender, now)        # text for a 550 5.7.1 reply
    passes.problem(account, canonical, sender, subject, now, period)   # "" when it is good

canonical: the recipient's address as in the configuration. sender: the one address of the header
From field. `problem` is asked only when the account has a period above zero.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from mox.junk import subjectpass
from mox.store.passkeys import passkey

if TYPE_CHECKING:
    from mox.address import Address
    from mox.store.account import Account

_MARK = "(pass:"


def offer(account: Account, canonical: str, sender: Address, now: float) -> str:
    """What to tell a sender whose message is refused. May write (once per recipient address)."""
    token = subjectpass.generate(passkey(account, canonical), str(sender), int(now))
    return subjectpass.EXPLANATION + token


def problem(
    account: Account, canonical: str, sender: Address, subject: str, now: float, period: timedelta
) -> str:
    """Check the token in a decoded subject; returns "" when it lets in, or why it does not."""
    if _MARK not in subject:
        return "no token"
    key = passkey(account, canonical)
    return subjectpass.verify(subject, key, str(sender), int(now), int(period.total_seconds()))
