"""Run the dialogues of tests/wire/imap against the reader, whole and in pieces.

A script has lines `C: …` (sent with CRLF), `R: …` (sent as it is, with \\r \\n \\0 \\xNN escapes),
`E: …` (the next event, in the short form of `show`) and `A: …`, what the shell does on the event
before it: refuse, line (the next line is raw), utf8. Literals are accepted unless refused. `#`
begins a comment.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from enum import Enum
from pathlib import Path

import pytest

from mox.imap.events import CommandReady, Event, LiteralChunk
from mox.imap.framing import Reader
from mox.imap.sequence import SequenceSet
from tests.imap.drive import WAITING, joined, pieces_of

SCRIPTS = sorted((Path(__file__).parent.parent / "wire" / "imap").glob("*.imap"))


@dataclass
class Script:
    sent: bytes = b""
    events: list[str] = field(default_factory=list)
    actions: dict[int, str] = field(default_factory=dict)  # by number of events, chunks left out


def load(path: Path) -> Script:
    script = Script()
    counted = 0
    for line in path.read_text(encoding="utf-8").splitlines():
        kind, rest = line[:2] + " " if line else "", line[3:]
        if kind == "C: ":
            script.sent += rest.encode() + b"\r\n"
        elif kind == "R: ":
            script.sent += rest.encode("latin-1").decode("unicode_escape").encode("latin-1")
        elif kind == "E: ":
            script.events.append(rest)
            counted += not rest.startswith("LiteralChunk")
        elif kind == "A: ":
            script.actions[counted] = rest
        else:
            assert not line or line.startswith("#"), line
    return script


def show(value: object) -> str:
    """Write a value shortly: fields that have their default are left out."""
    if isinstance(value, CommandReady):
        return show(value.command)
    if isinstance(value, SequenceSet):
        ends = [dict.fromkeys((str(low or "*"), str(high or "*"))) for low, high in value.ranges]
        return "$" if value.saved else ",".join(map(":".join, ends))
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, tuple):
        return "(" + " ".join(map(show, value)) + ")"
    if isinstance(value, frozenset):
        return "{" + " ".join(sorted(map(show, value))) + "}"
    if is_dataclass(value):
        shown = [
            f"{each.name}={show(content)}"
            for each in fields(value)
            if (content := getattr(value, each.name)) != each.default or each.default is MISSING
        ]
        text = " ".join([type(value).__name__, *shown])
        return text if _is_top(value) else f"<{text}>"
    return repr(value)


def _is_top(value: object) -> bool:
    """Whether it is an event or command, not a part of one."""
    return isinstance(value, Event) or hasattr(value, "tag")


def play(script: Script, size: int) -> list[str]:
    reader = Reader()
    events: list[Event] = []
    for piece in pieces_of(script.sent, size):
        reader.feed(piece)
        while (event := reader.next_event()) is not None:
            events.append(event)
            count = sum(not isinstance(each, LiteralChunk) for each in events)
            act(reader, event, script.actions.get(count, ""))
    return [show(event) for event in joined(events)]


def act(reader: Reader, event: Event, action: str) -> None:
    waits = isinstance(event, WAITING)
    if waits and action == "refuse":
        reader.refuse_literal()
    elif waits:
        reader.accept_literal()
    elif action == "line" and not isinstance(event, LiteralChunk):
        reader.expect_line()
    elif action == "utf8":
        reader.utf8 = True


@pytest.mark.parametrize("size", [1_000_000, 7, 1])
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_dialogue(path, size):
    script = load(path)
    assert play(script, size) == script.events


def test_there_are_dialogues():
    assert len(SCRIPTS) >= 6
