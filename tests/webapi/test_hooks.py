"""Payloads of webhooks: their exact form, and reading them back."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.webapi.hooks import (
    Event,
    Incoming,
    IncomingMeta,
    Outgoing,
    decode_incoming,
    decode_outgoing,
    encode,
    with_msg_id,
)
from mox.webapi.types import MessageAddress, Structure

WHEN = datetime(2026, 11, 23, 12, 56, 9, 888064, UTC)

# As the Go implementation sends it (with nanoseconds).
SUPPRESSED = (
    b'{"Version":0,"Event":"suppressed","DSN":false,"Suppressing":false,"QueueMsgID":38,'
    b'"FromID":"-1j3VBXIuRbwu77XRamORQ","MessageID":"\\u003capA4@localhost\\u003e",'
    b'"Subject":"sup","WebhookQueued":"2026-11-23T12:56:09.888064Z","SMTPCode":0,'
    b'"SMTPEnhancedCode":"","Error":"address is on suppression list, permanent","Extra":{}}'
)
INCOMING = (
    b'{"Version":0,"From":[{"Name":"Sender U","Address":"sender@remote.example"}],'
    b'"To":[{"Name":"","Address":"mox@localhost"}],"CC":[],"BCC":[],"ReplyTo":[],'
    b'"Subject":"Invoice \xe2\x82\xac","MessageID":"\\u003cinv-1@remote.example\\u003e",'
    b'"InReplyTo":"","References":["\\u003croot-1@localhost\\u003e"],'
    b'"Date":"2026-11-23T11:22:33+01:00","Text":"line\\nsecond",'
    b'"HTML":"\\u003cb\\u003e\\u0026amp;\\u003c/b\\u003e",'
    b'"Structure":{"ContentType":"text/plain","ContentTypeParams":{"charset":"utf-8"},'
    b'"ContentID":"","ContentDisposition":"","Filename":"","DecodedSize":17,"Parts":[]},'
    b'"Meta":{"MsgID":71,"MailFrom":"","MailFromValidated":false,"MsgFromValidated":true,'
    b'"RcptTo":"mox+x@localhost","DKIMVerifiedDomains":["remote.example"],'
    b'"RemoteIP":"127.0.0.1","Received":"2026-11-23T12:56:09.888064Z","MailboxName":"Inbox",'
    b'"Automated":true}}'
)


def suppressed() -> Outgoing:
    return Outgoing(
        event=Event.SUPPRESSED,
        queue_msg_id=38,
        from_id="-1j3VBXIuRbwu77XRamORQ",
        message_id="<apA4@localhost>",
        subject="sup",
        webhook_queued=WHEN,
        error="address is on suppression list, permanent",
    )


def incoming(**changes: object) -> Incoming:
    fields: dict[str, object] = {
        "from_": (MessageAddress("Sender U", "sender@remote.example"),),
        "to": (MessageAddress("", "mox@localhost"),),
        "subject": "Invoice €",
        "message_id": "<inv-1@remote.example>",
        "references": ("<root-1@localhost>",),
        "date": datetime(2026, 11, 23, 11, 22, 33, tzinfo=timezone(timedelta(hours=1))),
        "text": "line\nsecond",
        "html": "<b>&amp;</b>",
        "structure": Structure(
            content_type="text/plain", content_type_params={"charset": "utf-8"}, decoded_size=17
        ),
        "meta": IncomingMeta(
            msg_from_validated=True,
            rcpt_to="mox+x@localhost",
            dkim_verified_domains=("remote.example",),
            remote_ip="127.0.0.1",
            received=WHEN,
            mailbox_name="Inbox",
            automated=True,
        ),
        **changes,
    }
    return Incoming(**fields)  # type: ignore[arg-type]


def test_outgoing_has_the_exact_form() -> None:
    assert encode(suppressed()) == SUPPRESSED


def test_incoming_has_the_exact_form() -> None:
    assert with_msg_id(encode(incoming()), 71) == INCOMING


def test_absent_date_is_null_and_absent_lists_are_empty() -> None:
    found = json.loads(encode(incoming(date=None, from_=(), references=())))
    assert (found["Date"], found["From"], found["References"]) == (None, [], [])


@pytest.mark.parametrize("text", ["<>&", "\u2028\u2029", 'a"b\\<', '"Meta":{"MsgID":0,'])
def test_no_text_can_end_a_script_or_move_the_number(text: str) -> None:
    body = with_msg_id(encode(incoming(subject=text, text=text, html=text)), 9)
    assert not set("<>&\u2028\u2029") & set(body.decode())
    read = decode_incoming(body)
    assert (read.subject, read.text, read.html, read.meta.msg_id) == (text, text, text, 9)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_what_is_encoded_is_read_back(text: str) -> None:
    told = msgspec.structs.replace(suppressed(), subject=text, extra={text: text})
    assert decode_outgoing(encode(told)) == told
    assert json.loads(encode(told))["Extra"] == {text: text}


def test_both_forms_of_escaping_are_read() -> None:
    plain = SUPPRESSED.replace(b"\\u003c", b"<").replace(b"\\u003e", b">")
    assert decode_outgoing(plain) == decode_outgoing(SUPPRESSED) == suppressed()


def test_fields_and_events_of_later_versions_are_no_error() -> None:
    later = SUPPRESSED.replace(b'"Event":"suppressed"', b'"Event":"else","New":[1]')
    assert decode_outgoing(later).event == "else"


def test_garbage_is_an_error() -> None:
    for body in (b"", b"[]", b'{"Version":"x"}', b"{"):
        with pytest.raises(msgspec.DecodeError):
            decode_outgoing(body)
        with pytest.raises(msgspec.DecodeError):
            decode_incoming(body)
