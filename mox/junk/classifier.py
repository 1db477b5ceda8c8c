"""The bayesian classifier: how probable it is that a message is junk, from counts of its words.

Each known word has a score between 0 (seen in wanted mail only) and 1 (in junk only). The most
telling ones on both sides are combined as if independent.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import nsmallest
from typing import NamedTuple

from mox.junk.params import Params

# With fewer trained wanted messages the result says little.
SIGNIFICANT_HAM = 50


class Counts(NamedTuple):
    """In how many trained messages of each kind a word was."""

    ham: int
    spam: int


class Totals(NamedTuple):
    """How many messages of each kind were trained."""

    ham: int
    spam: int


class WordScore(NamedTuple):
    """A word that took part, and its score: 0 ham, 1 spam."""

    word: str
    score: float


@dataclass(frozen=True, slots=True)
class Classification:
    """What the filter thinks of a message.

    probability: 0 wanted, 1 junk, 0.5 when nothing is known. significant: enough mail has been
    trained to believe it. The words decided, most telling first.
    """

    probability: float
    significant: bool
    ham_words: tuple[WordScore, ...] = ()
    spam_words: tuple[WordScore, ...] = ()


# RFC 2045 §5.1 is broken by programs that send junk, hardly by others.
BAD_TYPE = Classification(1.0, True)
# What can be said without any trained message.
UNKNOWN = Classification(0.5, False)


def classify(counts: Mapping[str, Counts], totals: Totals, params: Params) -> Classification:
    """Weigh the words of a message that are known: `counts` has just these."""
    ham_words: list[WordScore] = []
    spam_words: list[WordScore] = []
    # Most words are rare, and so have the same few counts.
    scores = {count: word_score(count, totals, params) for count in set(counts.values())}
    telling = {c for c, score in scores.items() if abs(0.5 - score) >= params.ignore_words}
    for word, count in counts.items():
        if count in telling:
            score = scores[count]
            if score < 0.5:
                ham_words.append(WordScore(word, score))
            elif score > 0.5:
                spam_words.append(WordScore(word, score))
    ham = _top(ham_words, params.top_words, sign=1)
    spam = _top(spam_words, params.top_words, sign=-1)
    eta = sum(math.log(1 - score) - math.log(score) for _, score in (*ham, *spam))
    probability = 0.5 if not ham and not spam else _logistic(-eta)
    return Classification(probability, totals.ham >= SIGNIFICANT_HAM, ham, spam)


def word_score(count: Counts, totals: Totals, params: Params) -> float:
    """The score of one word, drawn towards one half when it is rare."""
    ham = count.ham / totals.ham if totals.ham > 0 else 0.0
    spam = count.spam / totals.spam if totals.spam > 0 else 0.0
    score = spam / (ham + spam) if ham + spam > 0 else 0.5
    score = min(max(score, params.max_power), 1 - params.max_power)
    seen = count.ham + count.spam
    if seen <= params.rare_words:
        score += (1 + params.rare_words - seen) * (0.5 - score) / 10
    return score


def _top(scores: Iterable[WordScore], count: int, *, sign: int) -> tuple[WordScore, ...]:
    """The most telling; of equal ones the longer, which are more special."""
    return tuple(nsmallest(count, scores, lambda s: (s.score * sign, -len(s.word), s.word)))


def _logistic(eta: float) -> float:
    if eta < -700:
        return 0.0
    return 1 / (1 + math.exp(-eta))
