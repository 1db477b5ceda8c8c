from __future__ import annotations

from mox.address import NULL_PATH, parse_address
from mox.delivery.decision import MessageFacts, decide


def _facts(header_from: str | None) -> MessageFacts:
    return MessageFacts(
        reverse_path=NULL_PATH,
        header_from=parse_address(header_from) if header_from else None,
        message_id="",
        size=1,
        received_fields=0,
        has_8bit=False,
    )


def test_mail_goes_to_the_destination_mailbox_with_a_reason() -> None:
    decision = decide(_facts("a@b.example"), "Lists/x")
    assert (decision.accept, decision.mailbox) == (True, "Lists/x")
    assert decision.reason == "no-bad-signals"
    assert decision.details == ()


def test_missing_author_is_told_in_the_details() -> None:
    assert decide(_facts(None), "Inbox").details == ("message has no usable From address",)
