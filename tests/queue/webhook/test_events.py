"""What applications are told about what they sent: each event, with what it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from mox.address import Path as SMTPPath
from mox.address import parse_domain
from mox.queue import admin
from mox.queue.admin import Office
from mox.store import suppressions
from mox.store.hooks import Hooks
from mox.store.outgoing_records import QueueAddress, QueueId
from tests.queue.peer import DROP, Peer
from tests.queue.site import Clock, Site, mx

MakeSite = Callable[..., Site]
MakePeer = Callable[..., Peer]

WEBHOOK = """\
		OutgoingWebhook:
			URL: http://127.0.0.1:1/out
			Authorization: Bearer s
{events}\
		KeepRetiredWebhookPeriod: 1h0m0s
"""


def send(
    make_site: MakeSite,
    make_peer: MakePeer,
    *replies: str,
    events: str = "",
    clock: Callable[[], float] | None = None,
    **changes: object,
) -> tuple[Site, QueueId]:
    """Send a message to a server that answers RCPT with these."""
    peer = make_peer(script={"RCPT": list(replies)} if replies else {})
    options = {} if clock is None else {"clock": clock}
    account = WEBHOOK.format(events=events)
    site = make_site(names=mx("127.0.0.1"), port=peer.port, account=account, **options)
    site.ctx.store.account("mjl")
    fields = {"from_id": "abc", "subject": "hi", "extra": {"k": "v"}, **changes}
    [id] = site.submit("you@there.example", **fields)
    site.start()
    return site, id


def told(site: Site) -> list[dict[str, Any]]:
    """The calls that wait, oldest first."""
    hooks = Hooks(site.ctx.store)
    return [json.loads(hooks.body(hook.id)) for hook in hooks.hooks()]


def test_delivered(make_site: MakeSite, make_peer: MakePeer) -> None:
    site, id = send(make_site, make_peer)
    site.until_empty()
    [call] = told(site)
    assert list(call) == [
        "Version",
        "Event",
        "DSN",
        "Suppressing",
        "QueueMsgID",
        "FromID",
        "MessageID",
        "Subject",
        "WebhookQueued",
        "SMTPCode",
        "SMTPEnhancedCode",
        "Error",
        "Extra",
    ]
    assert call.pop("WebhookQueued").endswith("Z")
    assert call == {
        "Version": 0,
        "Event": "delivered",
        "DSN": False,
        "Suppressing": False,
        "QueueMsgID": id,
        "FromID": "abc",
        "MessageID": "<one@example.org>",
        "Subject": "hi",
        "SMTPCode": 0,
        "SMTPEnhancedCode": "",
        "Error": "",
        "Extra": {"k": "v"},
    }
    [hook] = Hooks(site.ctx.store).hooks()
    assert (hook.account, hook.url) == ("mjl", "http://127.0.0.1:1/out")
    assert (hook.authorization, hook.from_id, hook.extra) == ("Bearer s", "abc", {"k": "v"})


def test_failed_and_what_follows_for_the_address(make_site: MakeSite, make_peer: MakePeer) -> None:
    site, _ = send(make_site, make_peer, "550 5.1.1 who?")
    site.until_empty()
    [call] = told(site)
    assert (call["Event"], call["SMTPCode"], call["SMTPEnhancedCode"]) == ("failed", 550, "5.1.1")
    assert "who?" in call["Error"]
    assert call["Suppressing"] is True
    # The address is on the list now.
    [id] = site.submit("you@there.example")
    site.until_empty()
    suppressed = told(site)[1]
    assert (suppressed["Event"], suppressed["QueueMsgID"]) == ("suppressed", id)
    assert (suppressed["SMTPCode"], suppressed["Suppressing"]) == (0, False)
    assert "is on suppression list" in suppressed["Error"]
    assert suppressed["Extra"] == {}


def test_failure_of_an_address_that_is_listed_already_does_not_list_it(
    make_site: MakeSite, make_peer: MakePeer
) -> None:
    clock = Clock()
    site, _ = send(make_site, make_peer, "450 4.2.1 later", "550 5.1.1 who?", clock=clock)
    site.until_attempted()
    store = site.ctx.store
    path = SMTPPath("other", parse_domain("there.example"))
    suppressions.add(store, store.account("mjl").id, path, 0.0, manual=True, reason="")
    site.submit("other@there.example")
    site.look()
    site.until(lambda: len(told(site)) == 2)
    assert [call["Event"] for call in told(site)] == ["delayed", "suppressed"]
    assert [call["Suppressing"] for call in told(site)] == [False, False]


def test_each_attempt_is_told_and_only_the_last_word_waits(
    make_site: MakeSite, make_peer: MakePeer
) -> None:
    clock = Clock()
    site, id = send(make_site, make_peer, "450 4.2.1 one", "450 4.2.1 two", "250 ok", clock=clock)
    for text in ("one", "two"):
        site.until(lambda text=text: any(text in call["Error"] for call in told(site)))  # type: ignore[misc]
        [call] = told(site)
        assert (call["Event"], call["SMTPCode"]) == ("delayed", 450)
        assert call["SMTPEnhancedCode"] == "4.2.1"
        [msg] = site.queued()
        clock.now = msg.next_attempt + 1
        site.look()
    site.until_empty()
    [call] = told(site)
    assert (call["Event"], call["QueueMsgID"]) == ("delivered", id)
    first, second = Hooks(site.ctx.store).retired()
    [live] = Hooks(site.ctx.store).hooks()
    assert (first.superseded_by_id, second.superseded_by_id) == (second.id, live.id)


def test_attempts_used_up_fail_with_the_last_code(make_site: MakeSite, make_peer: MakePeer) -> None:
    site, _ = send(make_site, make_peer, "450 4.7.0 later please", max_attempts=1)
    site.until_empty()
    [call] = told(site)
    assert (call["Event"], call["SMTPCode"], call["SMTPEnhancedCode"]) == ("failed", 450, "4.7.0")
    assert call["Suppressing"] is False


def test_failure_without_a_reply_has_no_code(make_site: MakeSite, make_peer: MakePeer) -> None:
    site, _ = send(make_site, make_peer, DROP)
    site.until_attempted()
    site.until(lambda: told(site))
    [call] = told(site)
    assert (call["Event"], call["SMTPCode"], call["SMTPEnhancedCode"]) == ("delayed", 0, "")
    assert call["Error"]


@pytest.mark.parametrize(("how", "event"), [(admin.drop, "canceled"), (admin.fail, "failed")])
def test_administrator_ends_it(
    make_site: MakeSite, make_peer: MakePeer, how: Callable[..., int], event: str
) -> None:
    site, id = send(make_site, make_peer, "450 4.2.1 later")
    site.until_attempted()
    site.until(lambda: told(site))
    office = Office(site.ctx.store, site.config, site.outgoing)
    assert how(office, [id], site.clock()) == 1
    [call] = told(site)
    assert (call["Event"], call["SMTPCode"], call["Suppressing"]) == (event, 0, False)
    assert call["Error"] == "delivery canceled by admin"


def test_only_events_that_are_wanted_are_told(make_site: MakeSite, make_peer: MakePeer) -> None:
    events = "\t\t\tEvents:\n\t\t\t\t- failed\n"
    site, _ = send(make_site, make_peer, "250 ok", "550 5.1.1 no", events=events)
    site.until_empty()
    assert told(site) == []
    site.submit("other@there.example")
    site.until_empty()
    assert [call["Event"] for call in told(site)] == ["failed"]


@pytest.mark.parametrize(
    "changes",
    [
        {"sender": ""},
        {"is_dmarc_report": True},
        {"is_tls_report": True},
        {"sender_account": "second"},
        {"sender_account": "gone"},
    ],
)
def test_what_no_application_sent_is_not_told(
    make_site: MakeSite, make_peer: MakePeer, changes: dict[str, object]
) -> None:
    site, _ = send(make_site, make_peer, **changes)
    site.until_empty()
    assert told(site) == []


def test_calls_keep_what_was_configured_when_they_were_made(
    make_site: MakeSite, make_peer: MakePeer
) -> None:
    site, id = send(make_site, make_peer, "450 4.2.1 later")
    site.until_attempted()
    site.until(lambda: told(site))
    del site.config.dynamic.accounts["mjl"]  # type: ignore[attr-defined]
    office = Office(site.ctx.store, site.config, site.outgoing)
    assert admin.drop(office, [id], site.clock()) == 1
    [hook] = Hooks(site.ctx.store).hooks()
    assert (hook.event, hook.url) == ("delayed", "http://127.0.0.1:1/out")


def test_two_recipients_are_told_apart(make_site: MakeSite, make_peer: MakePeer) -> None:
    peer = make_peer(script={"RCPT": ["250 ok", "550 5.1.1 no"]})
    account = WEBHOOK.format(events="")
    site = make_site(names=mx("127.0.0.1"), port=peer.port, account=account)
    site.ctx.store.account("mjl")
    ids = site.submit("a@there.example", "b@there.example")
    site.start()
    site.until_empty()
    found = {call["QueueMsgID"]: call["Event"] for call in told(site)}
    assert found == {ids[0]: "delivered", ids[1]: "failed"}
    assert QueueAddress("a", "there.example", "there.example") in {
        msg.recipient for msg in site.retired()
    }
