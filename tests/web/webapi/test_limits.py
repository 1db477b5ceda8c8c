"""What an account may send within a day, and how much mail it may keep."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import PASSWORD, Server
from tests.web.webapi.calls import webapi_of

pytestmark = pytest.mark.e2e

ACCOUNTS = """\
	few:
		Domain: localhost
		MaxOutgoingMessagesPerDay: 3
		Destinations:
			few@localhost: nil
	shy:
		Domain: localhost
		MaxFirstTimeRecipientsPerDay: 2
		Destinations:
			shy@localhost: nil
	full:
		Domain: localhost
		QuotaMessageSize: 100
		Destinations:
			full@localhost: nil
	closed:
		Domain: localhost
		LoginDisabled: closed for now
		Destinations:
			closed@localhost: nil
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory: Path = tmp_path_factory.mktemp("limits") / "server"
    running = Server(directory)
    running.init()
    running.edit("domains.conf", "Accounts:\n", f"Accounts:\n{ACCOUNTS}")
    for account in ("few", "shy", "full", "closed"):
        running.run("setaccountpassword", account, stdin=f"{PASSWORD}\n")
    running.start()
    yield running
    running.stop()


def to(*names: str) -> dict[str, object]:
    return {"To": [{"Address": f"{name}@limits.example"} for name in names], "Text": "x"}


def test_messages_within_a_day_are_limited(server: Server) -> None:
    webapi = webapi_of(server, "few@localhost")
    webapi.ok("Send", to("a", "b"))
    assert webapi.call("Send", to("a", "b")).code == "messageLimitReached"
    # Nothing of it was counted.
    webapi.ok("Send", to("a"))
    answer = webapi.call("Send", to("a"))
    assert answer.code == "messageLimitReached"
    assert "(3)" in answer.json["Message"]


def test_new_recipients_within_a_day_are_limited(server: Server) -> None:
    webapi = webapi_of(server, "shy@localhost")
    webapi.ok("Send", to("a"))
    webapi.ok("Send", to("a", "b"))
    assert webapi.call("Send", to("c")).code == "recipientLimitReached"
    webapi.ok("Send", to("a", "b"))


def test_a_repeated_key_does_not_count(server: Server) -> None:
    webapi = webapi_of(server, "shy@localhost")
    first = webapi.ok("Send", to("a"), Idempotency_Key="count")
    for _ in range(5):
        assert webapi.ok("Send", to("a"), Idempotency_Key="count") == first


def test_a_message_without_room_for_its_copy_is_sent_all_the_same(server: Server) -> None:
    webapi = webapi_of(server, "full@localhost")
    request = {**to("once"), "SaveSent": True}
    answer = webapi.call("Send", request, Idempotency_Key="full")
    assert answer.code == "sentOverQuota"
    # The key keeps the answer: sending it again would be worse than the missing copy.
    again = webapi.call("Send", request, Idempotency_Key="full")
    assert again.body == answer.body
    assert again.status == 400
    # One that needs no room goes.
    webapi.ok("Send", to("again"))


def test_a_disabled_login_says_so(server: Server) -> None:
    answer = webapi_of(server, "closed@localhost").call("SuppressionList")
    assert answer.status == 401
    assert answer.body.endswith(b"login is disabled for this account\n")
