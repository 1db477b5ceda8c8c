"""The suppression list over the webapi: exchanges of the reference."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.web.webapi.calls import Webapi

pytestmark = pytest.mark.e2e


def test_an_address_is_added_found_and_removed_by_its_base_form(webapi: Webapi) -> None:
    added = {"EmailAddress": "First.Last+tag@Example.ORG", "Manual": True, "Reason": "asked"}
    assert webapi.call("SuppressionAdd", added).body == b"{}\n"
    again = webapi.call("SuppressionAdd", {"EmailAddress": "firstlast-x@example.org"})
    assert again.code == "error"
    (entry,) = webapi.ok("SuppressionList")["Suppressions"]
    assert list(entry) == [
        "ID", "Created", "Account", "BaseAddress", "OriginalAddress", "Manual", "Reason",
    ]  # fmt: skip
    created = datetime.fromisoformat(entry.pop("Created"))
    assert created.utcoffset() is not None
    assert entry.pop("ID") > 0
    assert entry == {
        "Account": "mox",
        "BaseAddress": "firstlast@example.org",
        "OriginalAddress": "First.Last+tag@example.org",
        "Manual": True,
        "Reason": "asked",
    }
    form = {"EmailAddress": "f.i.r.s.t.last@example.org"}
    assert webapi.ok("SuppressionPresent", form) == {"Present": True}
    assert webapi.call("SuppressionRemove", form).body == b"{}\n"
    assert webapi.ok("SuppressionPresent", form) == {"Present": False}
    assert webapi.call("SuppressionList").body == b'{"Suppressions":[]}\n'


def test_an_absent_address_cannot_be_removed(webapi: Webapi) -> None:
    answer = webapi.call("SuppressionRemove", {"EmailAddress": "mox@localhost"})
    assert (answer.status, answer.body) == (400, b'{"Code":"error","Message":"absent"}\n')


@pytest.mark.parametrize("method", ["SuppressionAdd", "SuppressionRemove", "SuppressionPresent"])
@pytest.mark.parametrize("address", ["", "x", "x@", "@x.example", "x@[127.0.0.1]", "a b@x.example"])
def test_a_bad_address_is_refused(webapi: Webapi, method: str, address: str) -> None:
    assert webapi.call(method, {"EmailAddress": address}).code == "badAddress"


def test_a_reason_of_any_length_is_not_kept(webapi: Webapi) -> None:
    request = {"EmailAddress": "long@reason.example", "Reason": "x" * 10_001}
    assert webapi.call("SuppressionAdd", request).code == "user"
