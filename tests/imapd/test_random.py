"""Well-formed commands in any order, on several sessions at once: every one gets its answer, no
session learns of more or fewer messages than there are, and nothing unexpected is logged."""

from __future__ import annotations

import random
import re

import gevent
import pytest

from tests.imapd.harness import Answer, Client, Literal, Site, message
from tests.serving.harness import logged

_COMMANDS = (
    "noop",
    "check",
    "select {box}",
    "examine {box}",
    "select {box} (condstore)",
    "unselect",
    "close",
    "create {box}",
    "delete {box}",
    "rename {box} {box}",
    "subscribe {box}",
    "unsubscribe {box}",
    'list "" * return (subscribed children status (messages unseen deleted-storage) myrights)',
    'list (special-use) "" * return (metadata (/private/a))',
    "status {box} (messages uidnext size highestmodseq deleted mailboxid)",
    "uid fetch {set} (flags rfc822.size)",
    "fetch {set} (uid body.peek[header])",
    "uid fetch {set} (body[text] binary.size[1] preview)",
    "uid fetch {set} flags (changedsince {n})",
    "uid store {set} +flags (\\Deleted)",
    "uid store {set} -flags.silent (\\Deleted $x)",
    "store {n} flags (\\Seen k{n})",
    "uid store {set} (unchangedsince {n}) +flags (\\Answered)",
    "expunge",
    "uid expunge {set}",
    "copy {set} {box}",
    "uid copy {set} {box}",
    "uid move {set} {box}",
    "search return (save count) deleted",
    "uid search text hello",
    "uid store $ -flags (\\Deleted)",
    "uid sort (reverse arrival) utf-8 all",
    "uid thread references utf-8 all",
    "esearch in (personal) return (count) unseen",
    "append {box} (\\Flagged) APPEND",
    "uid replace {n} {box} APPEND",
    'append {box} catenate (url "/INBOX/;UID={n}/;SECTION=HEADER" url "/a/;UID={n}/;SECTION=1")',
    'setmetadata {box} (/private/a "{n}")',
    "getmetadata (depth infinity) {box} (/)",
    "notify set status (selected (messagenew (uid flags) messageexpunge flagchange)) "
    "(personal (messagenew messageexpunge flagchange mailboxname mailboxmetadatachange))",
    "notify set (selected-delayed (messagenew messageexpunge)) (subtree INBOX NONE)",
    "notify none",
    "enable condstore",
    "enable qresync",
    "getquotaroot {box}",
    "uidbatches 500",
)
_BOXES = ("inbox", "Sent", "Trash", "a", "a/b", '"c d"')


class Talker:
    """One client that keeps count of its messages by what it is told."""

    def __init__(self, site: Site, rng: random.Random) -> None:
        self._client = site.login()
        self._rng = rng
        self.exists = 0
        self.selected = False
        self.certain = True  # whether it is told everything

    def talk(self) -> None:
        template = self._rng.choice(_COMMANDS)
        words = template.format(
            box=self._rng.choice(_BOXES),
            n=self._rng.randint(1, 8),
            set=self._rng.choice(("1:*", "1", "2:3", "*", "4,1")),
        )
        if words.endswith(" APPEND"):
            answer = self._client.command(words[:-7], Literal(message(self._rng.randint(1, 99))))
        else:
            answer = self._client.command(words)
        assert answer.status in ("OK", "NO", "BAD"), answer
        assert answer.code != "SERVERBUG", (words, answer)
        self._follow(words, answer)

    def _follow(self, words: str, answer: Answer) -> None:
        verb = words.split()[0]
        if verb in ("select", "examine"):
            self.selected, self.exists = answer.status == "OK", 0
        if verb == "notify":
            self.certain = "selected (" in words
        for line in answer.lines:
            if match := re.fullmatch(r"\* (\d+) EXISTS", line):
                assert int(match[1]) >= self.exists or verb in ("select", "examine"), (words, line)
                self.exists = int(match[1])
            elif re.fullmatch(r"\* (\d+) EXPUNGE", line):
                self.exists -= 1
            elif match := re.fullmatch(r"\* VANISHED ([\d:,]+)", line):
                for pair in match[1].split(","):
                    low, _, high = pair.partition(":")
                    self.exists -= int(high or low) - int(low) + 1
            assert self.exists >= 0, (words, answer)
        if verb in ("close", "unselect") and answer.status == "OK":
            self.selected = False

    def check(self) -> None:
        """What the client believes is what the server numbers."""
        if not self.selected or not self.certain:
            return
        self._follow("noop", self._client.command("noop"))
        answer = self._client.command("search return (count) all")
        if answer.status == "OK":
            self._follow("search", answer)
            (line,) = answer.starting("* ESEARCH")
            assert line.endswith(f"COUNT {self.exists}"), (line, self.exists)

    @property
    def client(self) -> Client:
        return self._client


@pytest.mark.parametrize("seed", range(4))
def test_any_order_of_commands(site: Site, seed: int) -> None:
    rng = random.Random(seed)
    site.add(*[message(n) for n in range(1, 6)])
    talkers = [Talker(site, random.Random(rng.random())) for _ in range(3)]

    def converse(talker: Talker) -> None:
        for _ in range(40):
            talker.talk()

    with logged() as lines, gevent.Timeout(60):
        greenlets = [gevent.spawn(converse, talker) for talker in talkers]
        gevent.joinall(greenlets, raise_error=True)
        for talker in talkers:
            talker.check()
    assert not lines.containing("unexpected")
