"""The content filter: tokens of a message, and a bayesian classifier over counts of words.

Pure: counts come from a function that the caller gives, clock and store are unknown here. Which
mailboxes teach (mailboxflags), how a message becomes tokens (tokens), what their counts say
(classifier), and the word in a subject that lets a message in (subjectpass) are separate::

    params = Params()
    found = tokens(b"Subject: hello\\n\\nbody\\n", params, wire=False)
    result = classify(counts_of(found.words), Totals(ham=120, spam=80), params)
"""

from mox.junk.classifier import Classification, Counts, Totals, WordScore, classify
from mox.junk.mailboxflags import MailboxFlags, Mark
from mox.junk.params import Params
from mox.junk.tokens import Tokens, tokens

__all__ = [
    "Classification",
    "Counts",
    "MailboxFlags",
    "Mark",
    "Params",
    "Tokens",
    "Totals",
    "WordScore",
    "classify",
    "tokens",
]
