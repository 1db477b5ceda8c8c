from __future__ import annotations

import argparse
import os

import pytest

from mox.cli.command import Command, Globals
from mox.cli.config import COMMANDS
from tests.config.texts import Files


def run(files: Files, *words: str) -> int:
    files.write()
    command = next(command for command in COMMANDS if command.words == words)
    assert isinstance(command, Command)
    parser = argparse.ArgumentParser()
    command.configure(parser)
    args = parser.parse_args([])
    args.globals = Globals(files.path, None, False)
    return command.run(args)


def test_valid_configuration(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    files.static.set(["User"], str(os.getuid()))
    assert run(files, "config", "test") == 0
    captured = capsys.readouterr()
    assert captured.out == "config OK\n"
    assert "warning: Listeners.local.WebserverHTTP is configured, not supported" in captured.err


def test_all_errors_are_printed(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    files.static.set(["User"], str(os.getuid()))
    files.static.set(["LogLevel"], "x")
    files.static.set(["Hostname"], "X")
    assert run(files, "config", "test") == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert lines[0].startswith(f"{files.path}:2: LogLevel: unknown log level")
    assert lines[1].startswith(f"{files.path}:3: Hostname: must be written as x")


@pytest.mark.parametrize(
    ("command", "field"), [("describe-static", "DataDir:"), ("describe-domains", "Domains:")]
)
def test_describe(
    files: Files, capsys: pytest.CaptureFixture[str], command: str, field: str
) -> None:
    assert run(files, "config", command) == 0
    assert field in capsys.readouterr().out
