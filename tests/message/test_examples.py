"""The examples in docstrings run."""

from __future__ import annotations

import doctest

import pytest

import mox.address
import mox.message
import mox.message.trace


@pytest.mark.parametrize("module", [mox.address, mox.message, mox.message.trace])
def test_examples(module: object) -> None:
    result = doctest.testmod(module)  # type: ignore[arg-type]
    assert result.attempted > 0 and result.failed == 0
