from __future__ import annotations

import inspect
from typing import get_args

import pytest

from mox.imap import commands
from mox.imapd.table import HANDLERS


def test_every_command_has_a_handler() -> None:
    # IDLE goes on after its beginning: the command loop has it.
    assert {*HANDLERS, commands.Idle} == set(get_args(commands.Command))


@pytest.mark.parametrize("command", HANDLERS, ids=lambda command: command.name)
def test_handler_takes_the_command_that_it_is_named_for(command: type[commands.Command]) -> None:
    handler = HANDLERS[command]
    assert handler.__name__ == f"cmd_{command.name.lower()}"
    _, parameter = inspect.signature(handler).parameters.values()
    assert parameter.annotation.split(".")[-1] == command.__name__
