"""The probabilities for a small filter: 4 ham and 5 spam messages."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.junk.classifier import Counts, Totals, classify, word_score
from mox.junk.params import Params

PARAMS = Params(max_power=0.01, top_words=10, ignore_words=0.1, rare_words=2)
HAM = [{"meeting", "lunch", "project", "common"}] * 3 + [{"rare2"}]
SPAM = [{"viagra", "casino", "common"}] * 4 + [{"rare1"}]
TOTALS = Totals(len(HAM), len(SPAM))


def counts_of(words: str) -> dict[str, Counts]:
    found = {
        word: Counts(sum(word in m for m in HAM), sum(word in m for m in SPAM))
        for word in words.split()
    }
    return {word: counts for word, counts in found.items() if counts != (0, 0)}


@pytest.mark.parametrize(
    ("words", "probability"),
    [
        ("meeting", 0.01),
        ("viagra", 0.99),
        ("viagra casino", 0.999898),
        ("viagra meeting", 0.5),
        ("common", 0.5),
        ("rare1", 0.892),
        ("rare2", 0.108),
        ("rare1 rare2 viagra", 0.99),
        ("meeting lunch project viagra", 0.000102),
        ("unknown", 0.5),
        ("", 0.5),
    ],
)
def test_probability(words: str, probability: float) -> None:
    result = classify(counts_of(words), TOTALS, PARAMS)
    assert result.probability == pytest.approx(probability, abs=5e-7)


def test_words_that_decided_are_named() -> None:
    result = classify(counts_of("viagra casino rare1 meeting common"), TOTALS, PARAMS)
    assert [word for word, _ in result.spam_words] == ["casino", "viagra", "rare1"]
    assert [(word, round(score, 3)) for word, score in result.ham_words] == [("meeting", 0.01)]


def test_of_equal_scores_the_longer_word_is_taken() -> None:
    one = Params(top_words=1)
    counts = {"abc": Counts(0, 9), "abcdef": Counts(0, 9), "abcd": Counts(0, 9)}
    result = classify(counts, Totals(10, 10), one)
    assert [word for word, _ in result.spam_words] == ["abcdef"]


def test_result_is_significant_from_fifty_wanted_messages_on() -> None:
    assert not classify({}, Totals(49, 1000), PARAMS).significant
    assert classify({}, Totals(50, 0), PARAMS).significant


def test_nothing_trained_is_undecided() -> None:
    assert classify({"x": Counts(0, 0)}, Totals(0, 0), PARAMS).probability == 0.5
    assert word_score(Counts(1, 0), Totals(0, 0), PARAMS) == 0.5


def test_no_top_words_is_undecided() -> None:
    assert classify(counts_of("viagra"), TOTALS, Params(top_words=0)).probability == 0.5


def test_many_sure_words_do_not_overflow() -> None:
    params = Params(max_power=1e-9, top_words=1000)
    ham = {f"word{i}": Counts(100, 0) for i in range(1000)}
    spam = {f"word{i}": Counts(0, 100) for i in range(1000)}
    assert classify(ham, Totals(100, 100), params).probability == pytest.approx(0)
    assert classify(spam, Totals(100, 100), params).probability == pytest.approx(1)


@given(
    st.dictionaries(st.text(), st.tuples(st.integers(0, 50), st.integers(0, 50))),
    st.floats(0.0001, 0.5),
    st.floats(0, 0.5),
    st.integers(0, 20),
)
def test_probability_is_one(
    words: dict[str, tuple[int, int]], max_power: float, ignore: float, top: int
) -> None:
    counts = {word: Counts(*pair) for word, pair in words.items()}
    params = Params(max_power=max_power, ignore_words=ignore, top_words=top, rare_words=top)
    result = classify(counts, Totals(50, 50), params)
    assert 0 <= result.probability <= 1
    assert not math.isnan(result.probability)
    swapped = {word: Counts(spam, ham) for word, (ham, spam) in words.items()}
    other = classify(swapped, Totals(50, 50), params)
    assert other.probability == pytest.approx(1 - result.probability, abs=1e-6)
