"""The examples in the package's docstrings."""

from __future__ import annotations

import doctest
from types import ModuleType

import pytest

from mox.junk import memory, subjectpass


@pytest.mark.parametrize("module", [memory, subjectpass])
def test_examples(module: ModuleType) -> None:
    failed, tried = doctest.testmod(module)
    assert tried
    assert not failed
