"""The form of the command line."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from mox.cli import arguments
from mox.cli.command import ADDRESS, DURATION, FINGERPRINT, Command, no_arguments


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-n", type=int, default=10, metavar="max")
    parser.add_argument("-now", action="store_true")
    parser.add_argument("id", nargs="?")


COMMANDS = [
    Command(("queue", "list"), "List messages.", _configure, lambda args: 0),
    Command(("queue", "hold", "add"), "Add a rule.", no_arguments, lambda args: 0),
    Command(("stop",), "Stop the server.", no_arguments, lambda args: 0),
]


@pytest.mark.parametrize(
    ("words", "config", "loglevel", "pedantic", "rest"),
    [
        (["stop"], "config/mox.conf", None, False, ["stop"]),
        (["-config", "/x", "stop", "-y"], "/x", None, False, ["stop", "-y"]),
        (["-config=/x", "--loglevel=info", "stop"], "/x", "info", False, ["stop"]),
        (["--config", "/x", "-pedantic"], "/x", None, True, []),
        (["-help", "stop"], "config/mox.conf", None, False, ["help", "stop"]),
    ],
)
def test_global_options(
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    config: str,
    loglevel: str | None,
    pedantic: bool,
    rest: list[str],
) -> None:
    monkeypatch.delenv("MOXCONF", raising=False)
    given, left = arguments.parse_globals(words)
    assert given.config == Path(config).absolute()
    assert (given.loglevel, given.pedantic, left) == (loglevel, pedantic, rest)


def test_the_environment_names_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOXCONF", "/etc/mox/mox.conf")
    assert arguments.parse_globals([])[0].config == Path("/etc/mox/mox.conf")
    assert arguments.parse_globals(["-config", "/x"])[0].config == Path("/x")


@pytest.mark.parametrize(
    "words", [["-nonsense"], ["-config"], ["-loglevel", "loud"], ["-pedantic=maybe"]]
)
def test_wrong_global_options(words: list[str]) -> None:
    with pytest.raises(arguments.UsageError, match="usage: mox"):
        arguments.parse_globals(words)


def test_a_command_is_found_by_its_words() -> None:
    command, rest = arguments.find(COMMANDS, ["queue", "list", "-n", "3"])
    assert command.words == ("queue", "list")
    assert rest == ["-n", "3"]


def test_the_beginning_of_commands_lists_them() -> None:
    with pytest.raises(arguments.UsageError) as caught:
        arguments.find(COMMANDS, ["queue"])
    assert str(caught.value).splitlines() == [
        "usage: mox queue list [-n max] [-now] [id]",
        "usage: mox queue hold add",
    ]


@pytest.mark.parametrize("words", [[], ["nonsense"]])
def test_no_command_lists_all(words: list[str]) -> None:
    with pytest.raises(arguments.UsageError) as caught:
        arguments.find(COMMANDS, words)
    assert "  mox stop\n" in f"{caught.value}\n"
    assert ("unknown command 'nonsense'" in str(caught.value)) == bool(words)


@pytest.mark.parametrize(
    ("words", "n", "now", "id_"),
    [
        ([], 10, False, None),
        (["-n", "3"], 3, False, None),
        (["-n=3", "-now", "7"], 3, True, "7"),
        (["--n=3", "--now", "7"], 3, True, "7"),
    ],
)
def test_flags(words: list[str], n: int, now: bool, id_: str | None) -> None:
    args = arguments.parse(COMMANDS[0], words)
    assert (args.n, args.now, args.id) == (n, now, id_)


@pytest.mark.parametrize("words", [["-m"], ["-n"], ["-n", "x"], ["1", "2"], ["-no"]])
def test_wrong_flags_show_the_usage(words: list[str]) -> None:
    with pytest.raises(arguments.UsageError, match="usage: mox queue list"):
        arguments.parse(COMMANDS[0], words)


def test_the_beginning_of_a_flag_is_not_the_flag() -> None:
    command = Command(
        ("test",), "", lambda parser: parser.add_argument("-port-offset") and None, lambda args: 0
    )
    with pytest.raises(arguments.UsageError, match="unknown flag -port"):
        arguments.parse(command, ["-port", "25"])
    assert arguments.parse(command, ["-port-offset", "25"]).port_offset == "25"


def _with_operand(dashed: re.Pattern[str] | None) -> Command:
    def configure(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("-force", action="store_true")
        parser.add_argument("-reason", default="")
        parser.add_argument("operand")
        parser.add_argument("note", nargs="?")

    return Command(("test",), "", configure, lambda args: 0, dashed=dashed)


@pytest.mark.parametrize(
    ("dashed", "operand"),
    [
        (FINGERPRINT, "-" + "aB3_-x7" * 6),
        (FINGERPRINT, "--" + "aB3_-x" * 6 + "-force"[1:]),
        (FINGERPRINT, "-now" + "a" * 39),
        (ADDRESS, "-o-@example.org"),
        (ADDRESS, "--@example.org"),
        (DURATION, "-1h30m"),
        (None, "-"),
    ],
)
def test_an_argument_may_begin_with_a_dash(dashed: re.Pattern[str] | None, operand: str) -> None:
    command = _with_operand(dashed)
    for words in ([operand, "-force", "x"], ["-force", operand, "x"], [operand, "x", "--force"]):
        args = arguments.parse(command, words)
        assert (args.operand, args.note, args.force) == (operand, "x", True)
    assert arguments.parse(command, [operand]).operand == operand


@pytest.mark.parametrize("dashed", [FINGERPRINT, ADDRESS, DURATION, None])
@pytest.mark.parametrize("word", ["-forced", "-forc", "--forced", "-x=y", "-aB3_-x"])
def test_a_mistyped_flag_is_no_argument(dashed: re.Pattern[str] | None, word: str) -> None:
    with pytest.raises(arguments.UsageError, match=f"unknown flag {word.partition('=')[0]}"):
        arguments.parse(_with_operand(dashed), [word, "x"])


def test_what_follows_two_dashes_is_no_flag() -> None:
    args = arguments.parse(_with_operand(None), ["-force", "--", "-forced", "--force"])
    assert (args.operand, args.note, args.force) == ("-forced", "--force", True)


def test_the_value_of_a_flag_may_begin_with_a_dash() -> None:
    for words in (["-reason", "-x", "1"], ["--reason", "-x", "1"], ["1", "-reason=-x"]):
        args = arguments.parse(_with_operand(None), words)
        assert (args.reason, args.operand) == ("-x", "1")
