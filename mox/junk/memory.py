"""A filter whose counts are in memory: for trying out parameters, and for measuring.

>>> from mox.junk.mailboxflags import Mark
>>> filter = MemoryFilter(Params(rare_words=0))
>>> filter.train({"casino"}, Mark.JUNK)
>>> round(filter.classify({"casino", "hello"}).probability, 2)
0.99
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from mox.junk.classifier import Classification, Counts, Totals, classify
from mox.junk.mailboxflags import Mark
from mox.junk.params import Params


@dataclass(slots=True)
class MemoryFilter:
    """Counts of words, and the parameters they are weighed with."""

    params: Params
    ham: int = 0
    spam: int = 0
    counts: dict[str, Counts] = field(default_factory=dict)

    def train(self, tokens: Collection[str], mark: Mark) -> None:
        """Count a message; Mark.NONE teaches nothing."""
        if mark is Mark.NONE:
            return
        is_ham = mark is Mark.HAM
        self.ham += is_ham
        self.spam += not is_ham
        known = self.counts
        for token in tokens:
            ham, spam = known.get(token, (0, 0))
            known[token] = Counts(ham + is_ham, spam + (not is_ham))

    def classify(self, tokens: Collection[str]) -> Classification:
        counts = {token: self.counts[token] for token in tokens if token in self.counts}
        return classify(counts, Totals(self.ham, self.spam), self.params)
