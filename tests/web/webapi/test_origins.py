"""Pages of other sites cannot use a password that the browser remembers."""

from __future__ import annotations

import pytest

from mox.web.webapi.origins import is_of_another_site

HOST = "mail.example.org:1443"


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        ({}, False),
        ({"HTTP_SEC_FETCH_SITE": "same-origin"}, False),
        ({"HTTP_SEC_FETCH_SITE": "none"}, False),
        ({"HTTP_SEC_FETCH_SITE": "same-site"}, True),
        ({"HTTP_SEC_FETCH_SITE": "cross-site"}, True),
        ({"HTTP_SEC_FETCH_SITE": ""}, True),
        ({"HTTP_SEC_FETCH_SITE": "cross-site", "HTTP_ORIGIN": f"https://{HOST}"}, True),
        ({"HTTP_SEC_FETCH_SITE": "same-origin", "HTTP_ORIGIN": "https://public.example"}, False),
        ({"HTTP_ORIGIN": f"https://{HOST}"}, False),
        ({"HTTP_ORIGIN": "http://MAIL.example.org:1443"}, False),
        ({"HTTP_ORIGIN": "https://mail.example.org"}, True),
        ({"HTTP_ORIGIN": "https://evil.example"}, True),
        ({"HTTP_ORIGIN": f"https://evil.example/{HOST}"}, True),
        ({"HTTP_ORIGIN": "null"}, True),
        ({"HTTP_ORIGIN": ""}, True),
        ({"HTTP_ORIGIN": "https://[::1"}, True),
    ],
)
def test_who_may_call(fields: dict[str, str], refused: bool) -> None:
    assert is_of_another_site({"HTTP_HOST": HOST, **fields}) == refused


def test_without_a_host_nothing_is_the_same() -> None:
    assert is_of_another_site({"HTTP_ORIGIN": "null"})
    assert not is_of_another_site({})
