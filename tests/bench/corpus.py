"""A generated corpus of wanted mail and junk in five languages: the same for the same seed.

Not real mail, but with what makes it hard: words that both kinds have, wanted newsletters that
advertise, phishing that looks like an invoice, words from wanted mail strewn into junk, misspelt
words, HTML, transfer encodings and charsets of all sorts, short notes with hardly any text.
"""

from __future__ import annotations

import base64
import quopri
import random
from collections.abc import Iterator
from dataclasses import dataclass

from tests.bench.corpuswords import HAM_DOMAINS, LANGUAGES, NAMES, SPAM_DOMAINS, Language

_DAY_S = 86400
_START = 1_767_225_600  # 2026-01-01
_SHARES = {"en": 10, "de": 4, "fr": 2, "es": 2, "ru": 2}
_LEET = str.maketrans("aeios", "43105")


@dataclass(frozen=True, slots=True)
class Labelled:
    """A message in wire form, and what it is."""

    raw: bytes
    is_spam: bool
    hard: bool  # made to look like the other kind


def corpus(count: int, seed: int = 1, spam_share: float = 0.5) -> Iterator[Labelled]:
    """Messages in the order in which they arrive."""
    rnd = random.Random(seed)
    names, weights = list(_SHARES), list(_SHARES.values())
    for number in range(count):
        language = LANGUAGES[rnd.choices(names, weights)[0]]
        is_spam = rnd.random() < spam_share
        hard = rnd.random() < 0.15
        words = _words(rnd, language, is_spam=is_spam, hard=hard)
        raw = _message(rnd, language, words, number, is_spam=is_spam)
        yield Labelled(raw, is_spam, hard)


def _words(rnd: random.Random, language: Language, *, is_spam: bool, hard: bool) -> list[str]:
    own, other = (language.spam, language.ham) if is_spam else (language.ham, language.spam)
    topic = rnd.choice(own)
    length = rnd.choice((12, 40, 120, 300, 600))
    telling = 0.06 if hard else 0.22
    foreign = 0.08 if hard else 0.01
    words: list[str] = []
    for _ in range(length):
        chance = rnd.random()
        if chance < telling:
            word = _skewed(rnd, topic)
            if is_spam and rnd.random() < 0.1:
                word = word.translate(_LEET)
        elif chance < telling + foreign:
            word = _skewed(rnd, rnd.choice(other))
        elif chance < telling + foreign + 0.02:
            word = _made_up(rnd)
        else:
            word = _skewed(rnd, language.common)
        words.append(word)
    return words


def _skewed(rnd: random.Random, words: list[str]) -> str:
    """The first words of a list are much more frequent, as in any text."""
    return words[int(len(words) * rnd.random() ** 2)]


def _made_up(rnd: random.Random) -> str:
    """Names, numbers, identifiers: words that hardly ever come again."""
    syllables = ("ba", "der", "kon", "li", "mar", "no", "pol", "sa", "ter", "ux", "vi", "zen")
    word = "".join(rnd.choices(syllables, k=rnd.randint(2, 4)))
    return word if rnd.random() < 0.7 else f"{word}{rnd.randrange(10_000)}"


def _message(
    rnd: random.Random, language: Language, words: list[str], number: int, *, is_spam: bool
) -> bytes:
    date = _START + number * 600
    name = rnd.choice(NAMES)
    domain = rnd.choice(SPAM_DOMAINS if is_spam else HAM_DOMAINS)
    if is_spam and rnd.random() < 0.2:
        domain = rnd.choice(HAM_DOMAINS)  # forged
    subject = " ".join(words[: rnd.randint(2, 7)])
    head = (
        f"From: {name.title()} <{name}{rnd.randrange(30)}@{domain}>\r\nTo: mjl@example.org\r\n"
        f"Date: {_date(date)}\r\nMessage-ID: <{number}.{rnd.randrange(1 << 40)}@{domain}>\r\n"
        f"Subject: =?utf-8?b?{base64.b64encode(subject.encode()).decode()}?=\r\n"
        "MIME-Version: 1.0\r\n"
    ).encode()
    lines = [" ".join(words[i : i + 11]) for i in range(0, len(words), 11)]
    if rnd.random() < (0.7 if is_spam else 0.35):
        return head + _html(rnd, language, lines, is_spam=is_spam)
    return head + _part(rnd, "plain", language, "\r\n".join(lines) + "\r\n")


def _html(rnd: random.Random, language: Language, lines: list[str], *, is_spam: bool) -> bytes:
    color = f"#{rnd.randrange(1 << 24):06x}"
    paragraphs = "\r\n".join(
        f'<p style="color:{color}">{line.replace(" ", " <b>", 1)}</b><br></p>' for line in lines
    )
    link = (
        f'<a href="https://x{rnd.randrange(10**6)}.example/{rnd.randrange(1 << 30):x}">&raquo;</a>'
    )
    page = (
        f"<html><head><style>p {{ margin: {rnd.randrange(9)}px }}</style></head><body>"
        f'{paragraphs}{link}<img src="cid:1" alt="{lines[0][:20]}"></body></html>\r\n'
    )
    html = _part(rnd, "html", language, page)
    if is_spam and rnd.random() < 0.5:
        return html
    plain = _part(rnd, "plain", language, "\r\n".join(lines) + "\r\n")
    head = b'Content-Type: multipart/alternative; boundary="=_b"\r\n\r\n--=_b\r\n'
    return b"".join((head, plain, b"\r\n--=_b\r\n", html, b"\r\n--=_b--\r\n"))


def _part(rnd: random.Random, subtype: str, language: Language, text: str) -> bytes:
    charset = language.charset if rnd.random() < 0.3 else "utf-8"
    octets = text.encode(charset, "replace")
    encoding = rnd.choice(("8bit", "quoted-printable", "base64"))
    if encoding == "base64":
        octets = base64.encodebytes(octets).replace(b"\n", b"\r\n")
    elif encoding == "quoted-printable":
        lines = octets.replace(b"\r\n", b"\n")
        octets = quopri.encodestring(lines).replace(b"\n", b"\r\n")
    head = f"Content-Type: text/{subtype}; charset={charset}\r\n"
    return f"{head}Content-Transfer-Encoding: {encoding}\r\n\r\n".encode() + octets


def _date(seconds: int) -> str:
    days, rest = divmod(seconds - _START, _DAY_S)
    hours, minutes = divmod(rest // 60, 60)
    return f"{days % 28 + 1} Jan 2026 {hours:02}:{minutes:02}:00 +0000"
