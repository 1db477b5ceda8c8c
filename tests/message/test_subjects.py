from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.message import base_subject


@pytest.mark.parametrize(
    ("subject", "base", "is_response"),
    [
        ("", "", False),
        ("Hello  World", "hello world", False),
        ("Re: hello", "hello", True),
        ("RE:hello", "hello", True),
        ("re : hello", "hello", True),
        ("Re[2]: hello", "hello", True),
        ("Re [2] : hello", "hello", True),
        ("Fwd: hello", "hello", True),
        ("fw: hello", "hello", True),
        ("Re: Fwd: re: hello", "hello", True),
        ("hello (fwd)", "hello", True),
        ("hello (fwd) (FWD) ", "hello", True),
        ("[list] hello", "hello", False),
        ("[list] [2] hello", "hello", False),
        ("[list] Re: hello", "hello", True),
        ("Re: [list] hello", "hello", True),
        ("[list]", "[list]", False),
        ("Re: [list]", "[list]", True),
        ("[fwd: hello]", "hello", True),
        ("[Fwd: Re: hello (fwd)]", "hello", True),
        ("re: [fwd: [fwd: hello]]", "hello", True),
        ("Re:", "", True),
        ("reply: hello", "reply: hello", False),
        ("refwd: x", "refwd: x", False),
        ("a\0b", "", False),
        ("\thello\r\n there", "hello there", False),
    ],
)
def test_base_subject(subject: str, base: str, is_response: bool) -> None:
    assert base_subject(subject) == (base, is_response)


@given(st.text("re:fwd[]() a", max_size=60))
def test_base_subject_is_stable(subject: str) -> None:
    base, _ = base_subject(subject)
    assert base_subject(base)[0] == base
