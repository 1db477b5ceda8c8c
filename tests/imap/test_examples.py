"""The examples in the docstrings run."""

from __future__ import annotations

import doctest

import pytest

import mox.imap
from mox.imap import fetchresponse, framing, listpattern, responses, sequence, utf7


@pytest.mark.parametrize(
    "module", [mox.imap, fetchresponse, framing, listpattern, responses, sequence, utf7]
)
def test_docstring_examples(module):
    failed, tried = doctest.testmod(module)
    assert tried
    assert not failed
