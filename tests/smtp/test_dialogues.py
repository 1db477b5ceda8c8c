"""Runs the dialogues in tests/wire/smtp against the server machine.

A file has header lines "key: value", an empty line, and a script:

    C: text     the client sends this line with CRLF
    R: text     the client sends this as it is; \\r \\n \\0 \\\\ \\xNN are escapes
    S: text     the server answers with exactly this line ("..." at the end: any rest)
    S!          the server has closed
    M: text     the server has got this message (escapes as with R)
    P: 552      the server has refused a message with this code
    #           a remark

All that the client sends up to the next S goes in at once; each file is also run byte by byte.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.smtp.shell import SMALL, Shell, delivery, submission

FILES = sorted(Path("tests/wire/smtp").glob("*.smtp"))
TRUE = {"starttls", "requiretls", "pedantic"}


def unescape(text: str) -> bytes:
    return text.encode("latin-1", "backslashreplace").decode("unicode_escape").encode("latin-1")


def shell_for(header: dict[str, str]) -> Shell:
    changes: dict[str, object] = {name: True for name in TRUE if name in header}
    if "max_size" in header:
        changes["max_size"] = int(header["max_size"])
    if "small_limits" in header:
        changes["limits"] = SMALL
    if "no_chunking" in header:
        changes["chunking"] = False
    if "after_tls" in header:
        changes |= {"auth": (), "auth_after_tls": ("PLAIN",)}
    make = submission if header["kind"] == "submission" else delivery
    return Shell.start(make(**changes), has_tls="tls" in header)


def check(shell: Shell, kind: str, text: str, answers: list[str], place: str) -> None:
    if kind == "S":
        assert answers, f"{place}: no answer, expected {text!r}"
        got = answers.pop(0)
        if text.endswith("..."):
            assert got.startswith(text[:-3]), f"{place}: {got!r}"
        else:
            assert got == text, place
    elif kind == "S!":
        assert shell.server.closed, place
    elif kind == "M":
        assert shell.messages.pop(0) == unescape(text), place
    else:
        assert shell.problems.pop(0).code == int(text), place


@pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "bytewise"])
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_dialogue(path: Path, bytewise: bool) -> None:
    head, _, script = path.read_text().partition("\n\n")
    header = dict(line.split(": ", 1) if ": " in line else (line, "") for line in head.split("\n"))
    shell = shell_for(header)
    pending = b""
    answers: list[str] = []
    for number, line in enumerate(script.splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        kind, _, text = line.partition(" ")
        kind = kind.removesuffix(":")
        if kind in ("C", "R"):
            assert not answers, f"{path.name}: unexpected {answers}"
            pending += text.encode() + b"\r\n" if kind == "C" else unescape(text)
            continue
        if pending:
            raw = shell.feed_bytewise(pending) if bytewise else shell.feed(pending)
            answers = raw.decode().split("\r\n")[:-1]
            pending = b""
        check(shell, kind, text, answers, f"{path.name} script line {number}")
    assert not pending and not answers and not shell.messages and not shell.problems
