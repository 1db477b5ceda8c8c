"""The content filter of an account, as deliveries use it.

    params = content.params(account_config)     # None: no filter configured
    result = content.classify(account, params, spool.stored())
    marks = content.marks(account_config)       # for Target.marks, copy, move and append

Learning is not done here: flags and moves leave work for the keeper (mox.store.learning).
"""

from __future__ import annotations

from functools import lru_cache
from mmap import mmap
from typing import TYPE_CHECKING

from mox.junk import classifier
from mox.junk.classifier import Classification
from mox.junk.mailboxflags import MailboxFlags
from mox.junk.params import Params
from mox.junk.tokens import has_bad_type, tokens
from mox.store.words import read_counts, read_state

if TYPE_CHECKING:
    from mox.config.account import Account as AccountConfig
    from mox.config.account import JunkFilter
    from mox.store.account import Account

# Larger messages are read in the thread pool, so that the loop goes on.
_INLINE_OCTETS = 32 << 10


def params(config: AccountConfig) -> Params | None:
    """The parameters of the account's filter; None when it has none."""
    return None if config.junk_filter is None else _params(config.junk_filter)


@lru_cache(maxsize=256)
def _params(config: JunkFilter) -> Params:
    given = config.params
    return Params(
        onegrams=given.onegrams,
        twograms=given.twograms,
        threegrams=given.threegrams,
        max_power=given.max_power,
        top_words=given.top_words,
        ignore_words=given.ignore_words,
        rare_words=given.rare_words,
    )


def classify(account: Account, given: Params, message: bytes | mmap) -> Classification:
    """Ask the account's filter about a message in stored form (LF line ends).

    Reads the index once, changes nothing. Costs about 1 ms; a large message does not stop the
    loop.
    """
    if len(message) > _INLINE_OCTETS:
        return account.store.pool.apply(_classify, (account, given, message))
    return _classify(account, given, message)


def _classify(account: Account, given: Params, message: bytes | mmap) -> Classification:
    dbs = account.store.dbs
    if not any(read_state(dbs, account.id).totals):
        # No word can say anything.
        is_bad = has_bad_type(message, wire=False)
        return classifier.BAD_TYPE if is_bad else classifier.UNKNOWN
    found = tokens(message, given, wire=False)
    if found.has_bad_type:
        return classifier.BAD_TYPE
    totals, counts = read_counts(dbs, account.id, found.words)
    return classifier.classify(counts, totals, given)


def marks(config: AccountConfig) -> MailboxFlags:
    """The junk flags that follow from the mailbox a message enters."""
    flags = config.automatic_junk_flags
    if not flags.enabled:
        return MailboxFlags()
    return MailboxFlags(
        junk=flags.junk_mailbox_regexp,
        neutral=flags.neutral_mailbox_regexp,
        not_junk=flags.not_junk_mailbox_regexp,
    )
