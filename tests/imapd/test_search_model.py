"""SEARCH, SORT and FETCH of several sessions at once, against a plain model of the mailbox.

Random commands in random order; after each, what the server answered has to be what the model
says. The sessions learn of changes as clients do, from EXISTS, EXPUNGE and VANISHED, so a message
that another session removed keeps its number until they are told.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from mox.store.model import Flag
from mox.store.texts import Backlog
from tests.imapd.harness import Client, Site

FLAGS = {
    "\\Seen": Flag.SEEN,
    "\\Answered": Flag.ANSWERED,
    "\\Flagged": Flag.FLAGGED,
    "\\Deleted": Flag.DELETED,
    "\\Draft": Flag.DRAFT,
}
WORDS = ["apple", "Birne", "caf\u00e9", "\u00dcber", "delta"]
DAY0 = date(2026, 2, 1)
EPOCH = date(1970, 1, 1)
SESSIONS = st.integers(0, 2)


@dataclass
class Mail:
    """A message of the model."""

    sender: str
    subject: str
    body: str
    sent: date
    received: date
    uid: int = 0
    flags: set[str] = field(default_factory=set)  # keywords too

    @property
    def octets(self) -> bytes:
        day = self.sent.strftime("%d %b %Y")
        return (
            f"From: {self.sender} <{self.sender}@x.example>\r\n"
            f"Subject: {self.subject}\r\n"
            f"Date: {day} 12:00:00 +0000\r\n"
            "Content-Type: text/plain; charset=utf-8\r\n"
            f"\r\n{self.body}\r\n"
        ).encode()

    def copied(self, uid: int) -> Mail:
        return Mail(
            self.sender, self.subject, self.body, self.sent, self.received, uid, set(self.flags)
        )


MAILS = st.builds(
    Mail,
    sender=st.sampled_from(["ann", "bob", "cy"]),
    subject=st.sampled_from(["plan", "Re: plan", "[x] other", "apple pie", ""]),
    body=st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join),
    sent=st.integers(0, 9).map(lambda n: DAY0 + timedelta(n)),
    received=st.integers(0, 9).map(lambda n: DAY0 + timedelta(n)),
)

# ---- search programs: what is sent, and whether a message of a view matches

Test = Callable[[Mail, int], bool]  # message and its number in the view
Program = tuple[str, Test]


def same(text: str) -> str:
    return text.upper()


def _dated(name: str, which: Callable[[Mail], date]) -> list[Callable[[date], Program]]:
    def text(word: str, day: date) -> str:
        return f"{name}{word} {day.day}-{day.strftime('%b-%Y')}"

    return [
        lambda day: (text("before", day), lambda m, _: which(m) < day),
        lambda day: (text("on", day), lambda m, _: which(m) == day),
        lambda day: (text("since", day), lambda m, _: which(m) >= day),
    ]


DAYS = st.integers(-1, 10).map(lambda n: DAY0 + timedelta(n))
DATED = [*_dated("", lambda m: m.received), *_dated("sent", lambda m: m.sent)]

LEAVES: st.SearchStrategy[Program] = st.one_of(
    st.sampled_from(list(FLAGS)).map(lambda flag: (flag[1:].lower(), lambda m, _: flag in m.flags)),
    st.just(("keyword todo", lambda m, _: "todo" in m.flags)),
    st.sampled_from(["ann", "b", "x.example", "zz"]).map(
        lambda part: (f"from {part}", lambda m, _: part in f"{m.sender} <{m.sender}@x.example>")
    ),
    st.sampled_from(["PLAN", "re:", "apple", "zz"]).map(
        lambda part: (f"subject {part}", lambda m, _: same(part) in same(m.subject))
    ),
    st.sampled_from([*WORDS, "APPLE", "le b", "zz"]).map(
        lambda part: (f'body "{part}"', lambda m, _: same(part) in same(m.body))
    ),
    st.sampled_from(["apple", "plan", "bob", "zz"]).map(
        lambda part: (f"text {part}", lambda m, _: same(part) in same(m.octets.decode()))
    ),
    st.integers(150, 200).map(lambda n: (f"larger {n}", lambda m, _: len(m.octets) > n)),
    st.tuples(st.sampled_from(DATED), DAYS).map(lambda pair: pair[0](pair[1])),
    st.tuples(st.integers(1, 9), st.integers(1, 9)).map(
        lambda ends: (f"uid {ends[0]}:{ends[1]}", lambda m, _: min(ends) <= m.uid <= max(ends))
    ),
    st.integers(1, 6).map(lambda n: (f"1:{n}", lambda _, number: number <= n)),
    st.just(("all", lambda m, _: True)),
)
PROGRAMS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        inner.map(lambda a: (f"not {a[0]}", lambda m, n: not a[1](m, n))),
        st.tuples(inner, inner).map(
            lambda ab: (f"or {ab[0][0]} {ab[1][0]}", lambda m, n: ab[0][1](m, n) or ab[1][1](m, n))
        ),
        st.tuples(inner, inner).map(
            lambda ab: (f"({ab[0][0]} {ab[1][0]})", lambda m, n: ab[0][1](m, n) and ab[1][1](m, n))
        ),
    ),
    max_leaves=4,
)

BASE = {"plan": "PLAN", "Re: plan": "PLAN", "[x] other": "OTHER", "apple pie": "APPLE PIE", "": ""}
SORT_KEYS: dict[str, Callable[[Mail], object]] = {
    "arrival": lambda m: m.received,
    "date": lambda m: m.sent,
    "from": lambda m: m.sender,
    "size": lambda m: len(m.octets),
    "subject": lambda m: BASE[m.subject],
}


# Sequence numbers in a program mean other messages later: not for the model.
FOLLOWED = LEAVES.filter(lambda leaf: not leaf[0].startswith("1:"))


class Session:
    """A client that knows what it was told."""

    def __init__(self, client: Client, *, qresync: bool) -> None:
        self.client = client
        self.qresync = qresync
        self.uids: list[int] = []
        self.context: set[int] = set()  # results of a search that is kept up to date
        self.program: Program | None = None

    def learn(self, lines: list[str], mails: dict[int, Mail], *, removals: bool) -> None:
        """Follow the untagged responses."""
        for line in lines:
            words = line.split()
            if words[2:3] == ["EXISTS"]:
                last = self.uids[-1] if self.uids else 0
                new = [uid for uid in sorted(mails) if uid > last]
                self.uids += new[: int(words[1]) - len(self.uids)]
                assert len(self.uids) == int(words[1])
            elif words[2:3] == ["EXPUNGE"]:
                assert removals and not self.qresync
                assert self.uids.pop(int(words[1]) - 1) not in mails
            elif words[1] == "VANISHED":
                assert removals and self.qresync
                gone = set(numbers(words[2]))
                assert not gone & mails.keys()
                self.uids = [uid for uid in self.uids if uid not in gone]
            elif words[1] == "ESEARCH" and "TAG" not in words[2][6:]:
                self._follow(line)

    def _follow(self, line: str) -> None:
        for verb, chosen in re.findall(r"(ADDTO|REMOVEFROM) \(0 ([0-9:,]+)\)", line):
            found = set(numbers(chosen))
            if verb == "ADDTO":
                assert not found & self.context
                self.context |= found
            else:
                assert found <= self.context
                self.context -= found


def numbers(text: str) -> list[int]:
    """A sequence set, in its order."""
    found: list[int] = []
    for piece in text.split(","):
        first, _, last = piece.partition(":")
        found += range(int(first), int(last or first) + 1)
    return found


class SearchMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.site = Site(self.directory)
        self.mails: dict[int, Mail] = {}
        self.uidnext = 1
        self.clock = 0.0
        self.sessions = [
            Session(self.site.login("inbox"), qresync=False),
            Session(self.site.login("inbox", enable="imap4rev2"), qresync=False),
            Session(self.site.login("inbox", enable="qresync"), qresync=True),
        ]

    def teardown(self) -> None:
        self.site.stop()
        shutil.rmtree(self.directory)

    def ask(self, who: int, command: str, *, by_number: bool = False) -> list[str]:
        """Send a command; the session learns from the answer."""
        session = self.sessions[who]
        lines = session.client.ok(command)
        session.learn(lines, self.mails, removals=not by_number)
        return lines

    def view(self, who: int) -> list[tuple[int, Mail]]:
        """Messages with their numbers as the session knows them; those that are gone left out."""
        uids = self.sessions[who].uids
        return [(n, self.mails[uid]) for n, uid in enumerate(uids, 1) if uid in self.mails]

    # ---- changes

    @initialize(
        mails=st.lists(MAILS, min_size=2, max_size=5),
        programs=st.lists(FOLLOWED, min_size=3, max_size=3),
    )
    def begin(self, mails: list[Mail], programs: list[Program]) -> None:
        for mail in mails:
            self.append(mail)
        for who, program in enumerate(programs):
            self._follow(who, program)

    @rule(mail=MAILS)
    def append(self, mail: Mail) -> None:
        seconds = (mail.received - EPOCH).days * 86400 + 3600
        self.site.add(mail.octets, received=(seconds, 0))
        self.mails[self.uidnext] = mail.copied(self.uidnext)
        self.uidnext += 1

    @rule(
        who=SESSIONS,
        places=st.sets(st.integers(0, 8), min_size=1, max_size=3),
        op=st.sampled_from(["+", "-", ""]),
        flags=st.sets(st.sampled_from([*FLAGS, "todo"]), max_size=2),
    )
    def store(self, who: int, places: set[int], op: str, flags: set[str]) -> None:
        known = self.sessions[who].uids
        uids = [known[place] for place in places if place < len(known)]
        if not uids:
            return
        chosen = ",".join(map(str, uids))
        self.ask(who, f"uid store {chosen} {op}flags.silent ({' '.join(sorted(flags))})")
        for uid in set(uids) & self.mails.keys():
            mail = self.mails[uid]
            if op == "+":
                mail.flags |= flags
            else:
                mail.flags = mail.flags - flags if op == "-" else set(flags)

    @rule(who=SESSIONS)
    def expunge(self, who: int) -> None:
        known = set(self.sessions[who].uids)
        gone = [uid for uid, m in self.mails.items() if "\\Deleted" in m.flags and uid in known]
        for uid in gone:
            del self.mails[uid]
        self.ask(who, "expunge")

    @rule(who=SESSIONS, place=st.integers(0, 8), other=SESSIONS)
    def remove(self, who: int, place: int, other: int) -> None:
        self.store(who, {place}, "+", {"\\Deleted"})
        self.expunge(who)
        self.noop(other)

    @rule(who=SESSIONS, place=st.integers(0, 8))
    def copy(self, who: int, place: int) -> None:
        known = self.sessions[who].uids
        if place >= len(known) or known[place] not in self.mails:
            return
        original = self.mails[known[place]]
        self.mails[self.uidnext] = original.copied(self.uidnext)
        self.uidnext += 1
        self.ask(who, f"uid copy {original.uid} inbox")

    @rule()
    def index_texts(self) -> None:
        backlog = Backlog(self.site.ctx.store)
        for now in (0.0, 2.0):
            for _ in backlog.steps(now):
                pass

    # ---- questions

    @rule(who=SESSIONS, program=PROGRAMS, uid=st.booleans())
    def search(self, who: int, program: Program, uid: bool) -> None:
        expected = self._matching(who, program, uid=uid)
        lines = self.ask(who, ("uid " if uid else "") + f"search {program[0]}", by_number=not uid)
        found = self._result(lines, "SEARCH")
        assert found == expected, program[0]

    @rule(
        who=SESSIONS,
        program=PROGRAMS,
        uid=st.booleans(),
        first=st.integers(1, 4),
        count=st.integers(0, 3),
        backward=st.booleans(),
    )
    def window(
        self, who: int, program: Program, uid: bool, first: int, count: int, backward: bool
    ) -> None:
        expected = self._matching(who, program, uid=uid)
        sign = "-" if backward else ""
        part = (
            expected[::-1][first - 1 : first + count][::-1]
            if backward
            else expected[first - 1 : first + count]
        )
        verb = "uid search" if uid else "search"
        ends = f"{sign}{first}:{sign}{first + count}"
        lines = self.ask(
            who, f"{verb} return (partial {ends} count) {program[0]}", by_number=not uid
        )
        (line,) = [line for line in lines if "PARTIAL" in line]
        text = line.partition(f"PARTIAL ({ends} ")[2].rstrip(")")
        assert (numbers(text) if text != "NIL" else []) == part, line
        assert f" COUNT {len(expected)} " in line

    @rule(
        who=SESSIONS,
        program=PROGRAMS,
        criteria=st.lists(
            st.tuples(st.sampled_from(sorted(SORT_KEYS)), st.booleans()), min_size=1, max_size=3
        ),
    )
    def sort(self, who: int, program: Program, criteria: list[tuple[str, bool]]) -> None:
        chosen = [(n, m) for n, m in self.view(who) if program[1](m, n)]
        for name, reverse in reversed(criteria):
            key = SORT_KEYS[name]
            chosen.sort(key=lambda pair: key(pair[1]), reverse=reverse)  # type: ignore[arg-type, return-value]
        text = " ".join([("reverse " if reverse else "") + name for name, reverse in criteria])
        lines = self.ask(who, f"uid sort ({text}) utf-8 {program[0]}")
        assert self._result(lines, "SORT") == [m.uid for _, m in chosen], (text, program[0])

    @rule(who=SESSIONS)
    def fetch_flags(self, who: int) -> None:
        expected = {m.uid: m.flags for _, m in self.view(who)}
        lines = self.ask(who, "uid fetch 1:* (flags)")
        found: dict[int, set[str]] = {}
        for line in lines:
            match = re.match(r"\* \d+ FETCH \(UID (\d+) FLAGS \(([^)]*)\)", line)
            if match is not None:
                found[int(match[1])] = set(match[2].split()) - {"\\Recent"}
        for uid, flags in expected.items():
            assert found[uid] == flags

    @rule(who=SESSIONS)
    def noop(self, who: int) -> None:
        self.ask(who, "noop")
        session = self.sessions[who]
        assert session.uids == sorted(self.mails)
        if session.program is not None:
            test = session.program[1]
            expected = {m.uid for n, m in self.view(who) if test(m, n)}
            assert session.context == expected, session.program[0]

    def _follow(self, who: int, program: Program) -> None:
        session = self.sessions[who]
        self.ask(who, "noop")
        expected = self._matching(who, program, uid=True)
        lines = session.client.ok(f"uid search return (update all) {program[0]}")
        assert self._result(lines, "SEARCH") == expected
        session.context, session.program = set(expected), program

    def _matching(self, who: int, program: Program, *, uid: bool) -> list[int]:
        return [m.uid if uid else n for n, m in self.view(who) if program[1](m, n)]

    @staticmethod
    def _result(lines: list[str], verb: str) -> list[int]:
        for line in lines:
            words = line.split()
            if words[1] == verb:
                return [int(word) for word in words[2:]]
            if words[1] == "ESEARCH" and "ADDTO" not in words and "REMOVEFROM" not in words:
                return numbers(words[-1]) if "ALL" in words else []
        raise AssertionError(lines)


class TestSearch(SearchMachine.TestCase):  # type: ignore[misc, name-defined]
    settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
