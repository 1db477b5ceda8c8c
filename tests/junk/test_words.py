from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.junk.words import MAX_TOKEN_OCTETS, distinct_words, grams, words

TEXT = "Don't miss it's big offer 2024 12345 abc 'quoted' don''t café ab"


def test_words_of_a_text() -> None:
    assert words(TEXT) == ["don", "miss", "big", "offer", "abc", "quoted", "don", "café"]


PHRASES = [
    "don't",
    "l'heure",
    "miss ",
    "\n",
    "\u2028",
    "\u039f\u0394\u039f\u03a3",
    "\u039f\u0394\u039f\u03a3'\u03b1 ",
    "caf\xe9\t",
    "x" * 30,
    " '",
    "' ",
]


@given(st.lists(st.sampled_from(PHRASES), max_size=30).map("".join), st.integers(1, 40))
def test_a_long_text_is_cut_without_harm(text: str, characters: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        whole = words(text)
        patch.setattr("mox.junk.words.PIECE_CHARACTERS", characters)
        assert words(text) == whole
        assert distinct_words(text) == set(whole)


def test_pairs_are_of_kept_words_that_follow_each_other() -> None:
    assert set(grams(words(TEXT), 2)) == {
        "don miss",
        "miss big",
        "big offer",
        "offer abc",
        "abc quoted",
        "quoted don",
        "don café",
    }


def test_triples() -> None:
    assert list(grams(["a", "b", "c", "d"], 3)) == ["a b c", "b c d"]
    assert list(grams(["a", "b"], 3)) == []


@pytest.mark.parametrize("word", ["rhythms", "xkcdqwrtz", "bcdfgh", "b2c3d4"])
def test_what_looks_random_is_not_kept(word: str) -> None:
    assert words(word) == []


@pytest.mark.parametrize("word", ["strengths", "bcdfgé", "b1c0d1fgh", "pqr0stv"])
def test_what_can_be_said_is_kept(word: str) -> None:
    assert words(word) == [word]


@pytest.mark.parametrize(
    "word", ["1234", "abc123", "123abc", "12a3", "2024x", "abc12345", "a1b2c3"]
)
def test_what_looks_numeric_is_not_kept(word: str) -> None:
    assert words(word) == []


@pytest.mark.parametrize("word", ["0xdeadbeef", "a1b2", "mp3s", "x123yz"])
def test_few_digits_are_fine(word: str) -> None:
    assert words(word) == [word]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ab abc", ["abc"]),
        ("é éa", ["éa"]),
        ("UPPER Straße", ["upper", "straße"]),
        ("l'heure rock'n'roll", ["heure", "rock", "roll"]),
        ("under_score,comma;semi", ["under", "score", "comma", "semi"]),
        ("''quoted''", ["quoted"]),
        ("привет мир", ["привет", "мир"]),
        ("٣٤٥", []),
        ("o'5", ["o'5"]),
        ("", []),
    ],
)
def test_borders_of_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_word_longer_than_a_key_is_dropped() -> None:
    longest = "ab" * (MAX_TOKEN_OCTETS // 2)
    assert words(f"{longest} {longest}a") == [longest]


@given(st.text())
def test_words_are_in_the_text(text: str) -> None:
    lower = text.lower()
    for word in words(text):
        assert word in lower
        assert len(word.encode()) > 2
        assert not word.isdecimal()


@pytest.mark.parametrize("piece", ["a", "'", "a'", "ab ", "b2", "é", "1", "a''1"])
def test_a_megabyte_is_read(piece: str) -> None:
    """A quadratic step would take minutes."""
    text = piece * ((1 << 20) // len(piece))
    assert len(words(text)) <= len(text)
