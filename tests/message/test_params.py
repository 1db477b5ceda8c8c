from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.message.limits import Limits
from mox.message.params import (
    content_type,
    disposition,
    param,
    parse_params,
    strip_comments,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("; charset=us-ascii", (("charset", "us-ascii"),)),
        ('; CharSet="us-ascii"; Format=flowed', (("charset", "us-ascii"), ("format", "flowed"))),
        ('; name="a;b=\\"c\\""', (("name", 'a;b="c"'),)),
        ("; name=my file.pdf; x=y", (("name", "my file.pdf"), ("x", "y"))),
        ("; charset=utf-8 format=flowed", (("charset", "utf-8"), ("format", "flowed"))),
        (' charset="utf-8" format=flowed', (("charset", "utf-8"), ("format", "flowed"))),
        ('; charset="utf-8', (("charset", "utf-8"),)),
        ('; name="a\\', (("name", "a"),)),
        ("; x=", (("x", ""),)),
        (";;; x = y ;;", (("x", "y"),)),
        ("; =y; novalue; z=1", (("z", "1"),)),
        ("; x=1; x=2", (("x", "1"), ("x", "2"))),
        # RFC 2231 §3
        (
            '; access-type=URL; URL*0="ftp://"; URL*1="cs.utk.edu/bulk-mailer.tar"',
            (("access-type", "URL"), ("url", "ftp://cs.utk.edu/bulk-mailer.tar")),
        ),
        # RFC 2231 §4
        ("; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
         (("title*", "This is ***fun***"),)),
        # RFC 2231 §4.1
        (
            "; title*0*=us-ascii'en'This%20is%20even%20more%20;"
            " title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2=\"isn't it!\"",
            (("title*", "This is even more ***fun*** isn't it!"),),
        ),
        ("; a*1=y; a*0=x; a*3=z", (("a", "xy"),)),
        ("; a*1=y", ()),
        ("; a*0*=utf-8''%C3; a*1*=%A9", (("a*", "é"),)),
        ("; a*=no-quotes%20here", (("a*", "no-quotes here"),)),
        ("; a*=nocharset''%E9%zz", (("a*", "é%zz"),)),
        ("; a*x=1; *=2; a**=3", (("a*x", "1"), ("*", "2"), ("a**", "3"))),
    ],
)  # fmt: skip
def test_parameters(text: str, expected: object) -> None:
    assert parse_params(text.encode(), 0) == expected


def test_extended_parameter_wins() -> None:
    params = parse_params(b"; filename=plain.txt; filename*=utf-8''caf%C3%A9.txt", 0)
    assert param(params, "filename") == "café.txt"
    assert param(params, "name") == ""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"a (b) c", b"a   c"),
        (b"a (b (c) d) e", b"a   e"),
        (b'"(x)" (y)', b'"(x)"  '),
        (b"a (open", b"a "),
        (b"a) b", b"a) b"),
        (b"a (\\) b) c", b"a   c"),
        (b"plain", b"plain"),
    ],
)
def test_comments_are_removed(value: bytes, expected: bytes) -> None:
    assert strip_comments(value) == expected


def test_comment_of_the_rfc() -> None:
    """RFC 2045 §5.1."""
    found = content_type(b"text/plain; charset=us-ascii (Plain text)")
    assert found == content_type(b'text/plain; charset="us-ascii"')


def test_dispositions() -> None:
    """RFC 2183 §2."""
    found = disposition(
        b'attachment; filename=genome.jpeg; modification-date="Wed, 12 Feb 1997 16:29:51 -0500"'
    )
    assert found is not None and found.type == "ATTACHMENT"
    assert param(found.params, "modification-date") == "Wed, 12 Feb 1997 16:29:51 -0500"
    found = disposition(b"filename=x.txt")
    assert found is not None and (found.type, found.params) == (
        "ATTACHMENT", (("filename", "x.txt"),),
    )  # fmt: skip
    assert disposition(b"") is None
    assert disposition(b'"x"') is None


def test_parameters_are_limited() -> None:
    text = b"".join([b"; a%d=x" % number for number in range(1000)])
    assert len(parse_params(text, 0)) == 100
    text = b"".join([b"; a*%d=x" % number for number in range(1000)])
    assert parse_params(text, 0, Limits(params=10)) == (("a", "x" * 10),)


@given(st.one_of(st.binary(max_size=120), st.text("a=;\"*0' %41\\(", max_size=80)))
def test_any_value_is_read(value: bytes | str) -> None:
    raw = value if isinstance(value, bytes) else value.encode()
    content_type(raw)
    content_type(b"text/plain;" + raw)
    disposition(raw)
