"""Send against a running server: answers, order of checks, and what arrives."""

from __future__ import annotations

import base64
import email
import email.policy
import re
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any

import pytest

from tests.support.server import Server, eventually
from tests.web.webapi.calls import Upload, Webapi

pytestmark = pytest.mark.e2e

ME = [{"Address": "mox@localhost"}]
SIMPLE: dict[str, Any] = {"To": ME, "Text": "hi ☺"}


def arrived(server: Server, subject: str) -> EmailMessage:
    """The message with this subject in the inbox, as soon as it is there."""
    raw: list[bytes] = []

    def look() -> bool:
        client = server.imap_client()
        try:
            client.select("INBOX", readonly=True)
            found = client.search(None, "SUBJECT", f'"{subject}"')[1][0].split()
            if found:
                fetched = client.fetch(found[-1].decode(), "(RFC822)")[1][0]
                assert isinstance(fetched, tuple)
                raw.append(fetched[1])
            return bool(found)
        finally:
            client.logout()

    eventually(look, pause=0.1)
    message = email.message_from_bytes(raw[0], policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


# ---- exchanges with the reference


def test_the_answer_has_a_message_id_and_a_submission_for_each_recipient(webapi: Webapi) -> None:
    answer = webapi.call("Send", SIMPLE)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert re.fullmatch(
        rb'\{"MessageID":"<[A-Za-z0-9_-]{22}@localhost>","Submissions":\[\{"Address":'
        rb'"mox@localhost","QueueMsgID":[1-9][0-9]*,"FromID":""\}\]\}\n',
        answer.body,
    )


def test_a_login_with_from_ids_gets_one_for_each_recipient(from_id_webapi: Webapi) -> None:
    to = [{"Address": "a@from-id.example"}, {"Address": "b@from-id.example"}]
    answer = from_id_webapi.ok("Send", {"To": to, "Text": "x"})
    ids = [submission["FromID"] for submission in answer["Submissions"]]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{22}", id_) for id_ in ids)
    assert len(set(ids)) == 2


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        (
            {"To": [{"Address": "nonsense"}], "Text": "x"},
            "badAddress",
            'parsing address "nonsense": missing @ in address',
        ),
        ({"To": ME}, "missingBody", "at least text or html body required"),
        (
            {"From": [*ME, *ME], "To": ME, "Text": "x"},
            "multipleFrom",
            "multiple from-addresses not allowed",
        ),
        (
            {"From": [{"Address": "other@localhost"}], "To": ME, "Text": "x"},
            "badFrom",
            "from-address not configured for account",
        ),
        ({"Text": "x"}, "noRecipients", "no recipients"),
        (SIMPLE | {"MessageID": "abc"}, "malformedMessageID", "missing <> in message-id"),
        (
            SIMPLE | {"Subject": "a\tb"},
            "user",
            "checking header values: control characters not allowed",
        ),
        (
            SIMPLE | {"Headers": [["X-A", "a\nb"]]},
            "user",
            "checking header values: control characters not allowed",
        ),
        (
            {"To": [{"Name": "a\nb", "Address": "mox@localhost"}], "Text": "x"},
            "user",
            "control characters not allowed in names",
        ),
        (
            SIMPLE | {"FutureRelease": "2999-01-01T00:00:00Z"},
            "user",
            "scheduling delivery: date/time can not be further than 1440h0m0s in the future",
        ),
        ({"To": [{"Address": "x@[127.0.0.1]"}], "Text": "x"}, "badAddress", None),
        ({"To": ME, "ReplyTo": [{"Address": "x"}], "Text": "x"}, "badAddress", None),
        (SIMPLE | {"AttachedFiles": [{"Data": "%"}]}, "user", None),
        (SIMPLE | {"Headers": [["X A", "b"]]}, "user", None),
        (SIMPLE | {"Headers": [["From", "x@y"]]}, "user", None),
    ],
)
def test_what_cannot_be_sent_is_refused(
    webapi: Webapi, request_: object, code: str, message: str | None
) -> None:
    answer = webapi.call("Send", request_)
    assert answer.code == code
    assert message in (None, answer.json["Message"])
    assert answer.body.startswith(f'{{"Code":"{code}","Message":"'.encode())
    assert answer.body.endswith(b'"}\n')


@pytest.mark.parametrize(
    ("worse", "better"),
    [
        ({"From": [{"Address": "?"}, {"Address": "?"}]}, "missingBody"),
        ({"Text": "x", "From": [{"Address": "?"}, {"Address": "?"}]}, "multipleFrom"),
        ({"Text": "x", "From": [{"Address": "?"}], "To": []}, "badAddress"),
        ({"Text": "x", "From": [{"Address": "x@y.example"}], "To": []}, "badFrom"),
        ({"Text": "x", "MessageID": "a", "ReplyTo": [{"Address": "?"}]}, "noRecipients"),
        ({"Text": "x", "To": ME, "ReplyTo": [{"Address": "?"}], "Subject": "\n"}, "badAddress"),
        (
            {"Text": "x", "To": ME, "MessageID": "a", "AttachedFiles": [{"Data": "%"}]},
            "malformedMessageID",
        ),
        (
            {"Text": "x", "To": ME, "Subject": "\n", "FutureRelease": "2999-01-01T00:00:00Z"},
            "user",
        ),
    ],
)
def test_the_first_check_that_fails_decides(webapi: Webapi, worse: object, better: str) -> None:
    assert webapi.call("Send", worse).code == better


# ---- what arrives


def test_a_message_arrives_as_it_was_composed(webapi: Webapi, server: Server) -> None:
    request = {
        "To": [{"Name": "Rcpt", "Address": "ok1@ok1.example"}],
        "CC": [{"Name": "Cécile", "Address": "cc@ok1.example"}],
        "BCC": [{"Address": "hidden@ok1.example"}],
        "ReplyTo": [{"Address": "reply@ok1.example"}],
        "MessageID": "<own@id.example>",
        "References": ["<a@x.example>", "<b@x.example>"],
        "Date": "2024-05-06T07:08:09+02:00",
        "Subject": "composed héllo wörld",
        "Text": "hello\n",
        "Headers": [["X-Order", "42"], ["X-Order", "43"]],
    }
    answer = webapi.ok("Send", request)
    assert answer["MessageID"] == "<own@id.example>"
    addresses = [submission["Address"] for submission in answer["Submissions"]]
    assert addresses == ["ok1@ok1.example", "cc@ok1.example", "hidden@ok1.example"]
    message = arrived(server, "composed")
    assert message["From"] == "Mox User <mox@localhost>"
    assert message["To"] == "Rcpt <ok1@ok1.example>"
    assert message["Cc"] == "Cécile <cc@ok1.example>"
    assert message["Bcc"] is None
    assert message["Reply-To"] == "reply@ok1.example"
    assert message["Message-Id"] == "<own@id.example>"
    assert message["In-Reply-To"] == "<b@x.example>"
    assert message["Subject"] == "composed héllo wörld"
    assert message["Date"].datetime.isoformat() == "2024-05-06T07:08:09+02:00"
    assert message.get_all("X-Order") == ["42", "43"]
    assert message.get_content() == "hello\r\n"
    trace = str(message.get_all("Received")[-1])
    assert trace.startswith("from localhost by localhost id ")
    assert " for " not in trace


def test_the_envelope_sender_has_the_from_id(from_id_webapi: Webapi, server: Server) -> None:
    answer = from_id_webapi.ok("Send", {"To": ME, "Text": "x", "Subject": "unique sender"})
    message = arrived(server, "unique sender")
    from_id = answer["Submissions"][0]["FromID"]
    assert message["Return-Path"] == f"<mox+{from_id}@localhost>"
    assert message["From"] == "Mox User <mox+tx@localhost>"


def test_uploaded_files_join_those_of_the_json(webapi: Webapi, server: Server) -> None:
    request = SIMPLE | {
        "Subject": "with files",
        "HTML": "<img src=cid:hi>",
        "AttachedFiles": [{"Name": "first.bin", "Data": base64.b64encode(b"\0\1").decode()}],
    }
    png = b"\x89PNG\r\n\x1a\n1234"
    uploads = [
        Upload("inlinefile", png, {"Content-Type": "image/png", "Content-ID": "<hi>"}, "hi.png"),
        Upload("attachedfile", b"\0\1\2", {}, "doc.bin"),
        Upload("attachedfile", b"text\n", {"Content-Type": "text/plain"}, "näme.txt"),
        Upload("alternativefile", b"BEGIN:VCALENDAR", {"Content-Type": "text/calendar"}, "c.ics"),
        Upload("otherfile", b"not wanted"),
    ]
    assert webapi.upload(request, uploads).status == 200
    message = arrived(server, "with files")
    assert [part.get_content_type() for part in message.walk()] == [
        "multipart/mixed",
        "multipart/related",
        "multipart/alternative",
        "text/plain",
        "text/html",
        "text/calendar",
        "image/png",
        "text/plain",  # two without a type, of which nothing is known
        "text/plain",
        "text/plain",
    ]
    attached = [part for part in message.walk() if part.get_content_disposition() == "attachment"]
    assert [part.get_filename() for part in attached] == ["first.bin", "doc.bin", "näme.txt"]
    contents = [part.get_payload(decode=True) for part in attached]
    assert contents == [b"\0\1", b"\0\1\2", b"text\n"]
    (image,) = [part for part in message.walk() if part.get_content_type() == "image/png"]
    assert (image["Content-Id"], image.get_payload(decode=True)) == ("<hi>", png)


def test_a_copy_is_kept_in_sent_with_its_blind_recipients(webapi: Webapi, server: Server) -> None:
    request = {
        "To": ME,
        "BCC": [{"Name": "H", "Address": "hidden@copy.example"}],
        "Text": "x",
        "Subject": "kept copy",
        "SaveSent": True,
    }
    webapi.ok("Send", request)
    client = server.imap_client()
    client.select("Sent", readonly=True)
    found = client.search(None, "SUBJECT", '"kept copy"')[1][0].split()
    fetched = client.fetch(found[-1].decode(), "(FLAGS RFC822)")[1][0]
    client.logout()
    assert isinstance(fetched, tuple)
    assert b"\\Seen" in fetched[0]
    assert fetched[1].startswith(b"Bcc: H <hidden@copy.example>\r\n")
    assert b"Received:" not in fetched[1]


def test_a_message_is_held_until_its_time(webapi: Webapi, server: Server) -> None:
    later = datetime.now(UTC) + timedelta(hours=3)
    answer = webapi.ok("Send", SIMPLE | {"FutureRelease": later.isoformat()})
    listed = server.run("queue", "list", "-ids", str(answer["Submissions"][0]["QueueMsgID"]))
    assert re.search(r"2h59m|3h", listed.stdout), listed.stdout
    server.run("queue", "drop", "-ids", str(answer["Submissions"][0]["QueueMsgID"]))


def test_a_time_in_the_past_means_at_once(webapi: Webapi, server: Server) -> None:
    request = SIMPLE | {"FutureRelease": "0001-01-01T00:00:00+01:00", "Subject": "at once"}
    webapi.ok("Send", request)
    assert arrived(server, "at once")["Subject"] == "at once"


def test_addresses_of_other_scripts_go_out_with_smtputf8(webapi: Webapi, server: Server) -> None:
    request = {"To": [{"Address": "jösé@münchen.example"}], "Text": "x", "Subject": "utf8 ☺"}
    webapi.ok("Send", request)
    message = arrived(server, "utf8")
    assert "jösé@münchen.example" in str(message["To"])


# ---- a key for what must not be done twice


def test_a_repeated_key_gives_the_first_answer_and_sends_nothing(
    webapi: Webapi, server: Server
) -> None:
    request = SIMPLE | {"Subject": "only once"}
    first = webapi.ok("Send", request, Idempotency_Key="once-1")
    assert webapi.ok("Send", request, Idempotency_Key="once-1") == first
    other = webapi.call("Send", request | {"Text": "other"}, Idempotency_Key="once-1")
    assert other.code == "idempotencyKeyReused"
    assert webapi.ok("Send", request, Idempotency_Key="once-2") != first
    assert webapi.ok("Send", request) != first


def test_an_error_can_be_mended_under_the_same_key(webapi: Webapi) -> None:
    assert webapi.call("Send", {"Text": "x"}, Idempotency_Key="mend").code == "noRecipients"
    webapi.ok("Send", SIMPLE, Idempotency_Key="mend")


def test_files_are_part_of_what_a_key_stands_for(webapi: Webapi) -> None:
    key = {"Idempotency-Key": "files"}
    first = webapi.upload(SIMPLE, [Upload("attachedfile", b"a")], key)
    assert webapi.upload(SIMPLE, [Upload("attachedfile", b"a")], key).json == first.json
    assert webapi.upload(SIMPLE, [Upload("attachedfile", b"b")], key).code == "idempotencyKeyReused"
    assert webapi.upload(SIMPLE, [Upload("inlinefile", b"a")], key).code == "idempotencyKeyReused"


def test_a_key_must_be_short(webapi: Webapi) -> None:
    assert webapi.call("Send", SIMPLE, Idempotency_Key="x" * 256).code == "protocol"
