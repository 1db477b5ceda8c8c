"""Messages in mailboxes over the webapi: exchanges of the reference, and odd requests."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.support.server import Server, eventually
from tests.web.webapi.calls import Upload, Webapi

pytestmark = pytest.mark.e2e

_numbers = itertools.count(1)


class Found:
    """A message of a test's own in the inbox, found by its number."""

    def __init__(self, webapi: Webapi, server: Server, message: bytes | None = None) -> None:
        """Send one over SMTP."""
        name = f"found{next(_numbers)}"
        text = message or b"Subject: %b\r\nMessage-Id: <%b@x>\r\n\r\nhello\r\n"
        server.deliver(text.replace(b"%b", name.encode()), sender="sender@remote.example")
        self._find(webapi, server, name)

    @classmethod
    def of(cls, webapi: Webapi, server: Server, subject: str) -> Found:
        """The message with this subject, as soon as it is there."""
        found = cls.__new__(cls)
        found._find(webapi, server, subject)
        return found

    def _find(self, webapi: Webapi, server: Server, subject: str) -> None:
        self._server = server
        self.webapi = webapi
        self.id = self._number(subject)

    def _number(self, name: str) -> int:
        numbers: list[int] = []

        def look() -> bool:
            client = self._server.imap_client()
            try:
                client.select("INBOX", readonly=True)
                uids = client.uid("SEARCH", "SUBJECT", f'"{name}"')[1][0].split()
                if uids:
                    fetched = client.uid("FETCH", uids[-1].decode(), "(EMAILID)")[1][0]
                    assert isinstance(fetched, bytes)
                    # The number is at the end of RFC 8474's id, in hexadecimal.
                    object_id = fetched.partition(b"EMAILID (")[2].partition(b")")[0]
                    numbers.append(int(object_id.rpartition(b"-")[2] or b"0", 16))
                return bool(uids)
            finally:
                client.logout()

        eventually(look, pause=0.1)
        return numbers[0]

    def get(self) -> Any:
        return self.webapi.ok("MessageGet", {"MsgID": self.id})


@pytest.fixture
def found(webapi: Webapi, server: Server) -> Found:
    return Found(webapi, server)


def state_of(result: Any) -> tuple[str, list[str]]:
    return result["Meta"]["MailboxName"], result["Meta"]["Flags"]


def test_a_message_is_shown_with_structure_and_origin(found: Found) -> None:
    result = found.get()
    assert list(result) == ["Message", "Structure", "Meta"]
    subject = result["Message"]["Subject"]
    assert result["Message"] == {
        "From": [], "To": [], "CC": [], "BCC": [], "ReplyTo": [],
        "MessageID": f"<{subject}@x>", "References": [], "Date": None,
        "Subject": subject, "Text": "hello\n", "HTML": "",
    }  # fmt: skip
    assert result["Structure"] == {
        "ContentType": "/",
        "ContentTypeParams": {},
        "ContentID": "",
        "ContentDisposition": "",
        "Filename": "",
        "DecodedSize": 7,
        "Parts": [],
    }
    size = result["Meta"].pop("Size")
    assert size > 100
    assert result["Meta"] == {
        "DSN": False,
        "Flags": [],
        "MailFrom": "sender@remote.example",
        "MailFromValidated": True,  # SPF passes on loopback
        "RcptTo": "mox@localhost",
        "MsgFrom": "",
        "MsgFromValidated": False,
        "DKIMVerifiedDomains": [],
        "RemoteIP": "127.0.0.1",
        "MailboxName": "Inbox",
    }


def test_the_raw_message_has_its_own_line_ends(found: Found, webapi: Webapi) -> None:
    answer = webapi.call("MessageRawGet", {"MsgID": found.id})
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/plain")
    assert answer.body.endswith(b"\r\n\r\nhello\r\n")
    assert len(answer.body) == found.get()["Meta"]["Size"]
    assert "sandbox" in answer.headers["Content-Security-Policy"]


MULTIPART = b"""\
Subject: %b\r
Content-Type: multipart/mixed; boundary=b\r
\r
--b\r
Content-Type: multipart/alternative; boundary=c\r
\r
--c\r
Content-Type: text/plain; charset=iso-8859-1\r
Content-Transfer-Encoding: quoted-printable\r
\r
caf=E9\r
--c\r
Content-Type: text/html\r
\r
<html></html>\r
--c--\r
--b\r
Content-Type: application/octet-stream\r
Content-Disposition: attachment; filename=x.png\r
Content-Transfer-Encoding: base64\r
\r
iVBORw0KGgo=\r
--b--\r
"""


def test_parts_are_decoded_and_their_types_are_found(webapi: Webapi, server: Server) -> None:
    found = Found(webapi, server, MULTIPART)

    def part(*path: int) -> tuple[str, bytes]:
        answer = webapi.call("MessagePartGet", {"MsgID": found.id, "PartPath": path})
        assert answer.status == 200, answer.body
        return answer.headers["Content-Type"], answer.body

    assert part(0, 0) == ("text/plain; charset=utf-8", b"caf\xe9")
    assert part(0, 1) == ("text/html; charset=utf-8", b"<html></html>")
    assert part(1) == ("image/png", b"\x89PNG\r\n\x1a\n")
    assert part()[1].startswith(b"--b\r\n")
    assert found.get()["Message"]["Text"] == "café"
    for path, message in [
        ([4], "part 4 at index 0 not found"),
        ([0, 2], "part 2 at index 1 not found"),
        ([-1], "part -1 at index 0 not found"),
        ([1, 0], "part 0 at index 1 not found"),
    ]:
        answer = webapi.call("MessagePartGet", {"MsgID": found.id, "PartPath": path})
        assert answer.json == {"Code": "partNotFound", "Message": message}


@pytest.mark.parametrize("method", ["MessageGet", "MessageRawGet", "MessagePartGet"])
@pytest.mark.parametrize("msg_id", [0, -1, 1_000_000, (1 << 63) - 1, -(1 << 63), None])
def test_what_is_not_there_cannot_be_shown(webapi: Webapi, method: str, msg_id: int) -> None:
    answer = webapi.call(method, {"MsgID": msg_id})
    assert answer.json == {"Code": "messageNotFound", "Message": "message not found"}


@pytest.mark.parametrize(
    ("method", "more"),
    [
        ("MessageDelete", {}),
        ("MessageFlagsAdd", {"Flags": ["\\Seen"]}),
        ("MessageFlagsRemove", {"Flags": ["\\Seen"]}),
        ("MessageMove", {"DestMailboxName": "Archive"}),
    ],
)
def test_what_is_not_there_cannot_be_changed(
    webapi: Webapi, method: str, more: dict[str, object]
) -> None:
    for msg_id in (-1, 1_000_000):
        answer = webapi.call(method, {"MsgID": msg_id, **more})
        assert answer.json == {
            "Code": "messageNotFound",
            "Message": "getting message: no such message",
        }
    answer = webapi.call(method, more)
    assert answer.json == {"Code": "user", "Message": "getting message: invalid zero message id"}


def test_a_message_is_removed_once(found: Found, webapi: Webapi) -> None:
    request = {"MsgID": found.id}
    assert webapi.call("MessageDelete", request).body == b"{}\n"
    again = webapi.call("MessageDelete", request)
    assert again.json == {"Code": "user", "Message": "getting message: message was removed"}
    assert webapi.call("MessageGet", request).code == "messageNotFound"


def test_flags_are_set_and_cleared_in_any_case(found: Found, webapi: Webapi) -> None:
    flags = ["\\SEEN", "$junk", "Zebra", "apple", "\\flagged", "$Forwarded"]
    assert webapi.call("MessageFlagsAdd", {"MsgID": found.id, "Flags": flags}).body == b"{}\n"
    expected = ["$forwarded", "$junk", "\\flagged", "\\seen", "apple", "zebra"]
    assert state_of(found.get()) == ("Inbox", expected)
    webapi.ok("MessageFlagsRemove", {"MsgID": found.id, "Flags": ["\\Seen", "APPLE", "$JUNK"]})
    webapi.ok("MessageFlagsRemove", {"MsgID": found.id, "Flags": ["never-seen"]})
    webapi.ok("MessageFlagsAdd", {"MsgID": found.id, "Flags": []})
    assert state_of(found.get())[1] == ["$forwarded", "\\flagged", "zebra"]


@pytest.mark.parametrize(
    "flag", ["", "\\bogus", "a b", "a(b", "a{", "a%", "a*", 'a"', "a]", "é", "x" * 201]
)
def test_a_flag_that_cannot_be_is_refused(found: Found, webapi: Webapi, flag: str) -> None:
    answer = webapi.call("MessageFlagsAdd", {"MsgID": found.id, "Flags": [flag]})
    message = f"parsing flags: invalid keyword {flag[:100]}"
    assert answer.json == {"Code": "user", "Message": message}


def test_keywords_twice_are_an_error_where_all_is_checked(found: Found, webapi: Webapi) -> None:
    answer = webapi.call("MessageFlagsAdd", {"MsgID": found.id, "Flags": ["a", "A"]})
    assert answer.code == "user"


def test_a_moved_message_keeps_its_number(found: Found, webapi: Webapi) -> None:
    request = {"MsgID": found.id, "DestMailboxName": "Archive"}
    assert webapi.call("MessageMove", request).body == b"{}\n"
    # Archived mail is not junk, says the configuration of localserve.
    assert state_of(found.get()) == ("Archive", ["$notjunk"])
    again = webapi.call("MessageMove", request)
    text = f"moving message: message {found.id} already in destination mailbox"
    assert again.json == {"Code": "user", "Message": text}
    webapi.ok("MessageMove", {"MsgID": found.id, "DestMailboxName": "Inbox"})
    assert found.get()["Meta"]["MailboxName"] == "Inbox"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("inbox", "looking up mailbox name: not found"),
        ("archive", "looking up mailbox name: not found"),
        ("No such", "looking up mailbox name: not found"),
        ("\ud800", "looking up mailbox name: not found"),
        ("x" * 1000, "looking up mailbox name: not found"),
        ("", "getting mailbox: invalid zero mailbox ID"),
    ],
)
def test_a_mailbox_is_named_exactly(found: Found, webapi: Webapi, name: str, message: str) -> None:
    answer = webapi.call("MessageMove", {"MsgID": found.id, "DestMailboxName": name})
    assert answer.json == {"Code": "user", "Message": message}


def test_the_copy_of_a_sent_message_shows_its_files(webapi: Webapi, server: Server) -> None:
    uploads = [
        Upload("attachedfile", b"\0\1\2", {}, "doc.bin"),
        Upload("inlinefile", b"\x89PNG\r\n\x1a\n1234", {"Content-ID": "<hi>"}, "hi.png"),
    ]
    request = {"To": [{"Address": "x@sent.example"}], "BCC": [{"Address": "b@sent.example"}],
               "Text": "t", "HTML": "<p>", "Subject": "sent files", "SaveSent": True}  # fmt: skip
    assert webapi.upload(request, uploads).status == 200
    client = server.imap_client()
    client.select("Sent", readonly=True)
    uid = client.uid("SEARCH", "SUBJECT", '"sent files"')[1][0].split()[-1]
    fetched = client.uid("FETCH", uid.decode(), "(EMAILID)")[1][0]
    client.logout()
    number = int(fetched.partition(b"EMAILID (")[2].partition(b")")[0].rpartition(b"-")[2], 16)
    result = webapi.ok("MessageGet", {"MsgID": number})
    assert result["Message"]["BCC"] == [{"Name": "", "Address": "b@sent.example"}]
    assert (result["Message"]["Text"], result["Message"]["HTML"]) == ("t\n", "<p>\n")
    assert (result["Meta"]["RemoteIP"], result["Meta"]["MailFrom"]) == ("", "")
    assert state_of(result) == ("Sent", ["$notjunk", "\\seen"])
    related, attached = result["Structure"]["Parts"]
    assert attached == {
        "ContentType": "/", "ContentTypeParams": {}, "ContentID": "",
        "ContentDisposition": "attachment", "Filename": "doc.bin", "DecodedSize": 3, "Parts": [],
    }  # fmt: skip
    assert related["Parts"][1]["ContentType"] == "image/png"
    assert related["Parts"][1]["ContentID"] == "<hi>"


def test_a_message_that_was_sent_with_a_from_id_is_shown_as_it_arrived(
    from_id_webapi: Webapi, server: Server
) -> None:
    request = {
        "To": [{"Name": "Rcpt", "Address": "ok1@ok1.example"}],
        "Subject": "hi ok1",
        "Text": "hello",
    }
    sent = from_id_webapi.ok("Send", request)
    found = Found.of(from_id_webapi, server, "hi ok1")
    result = found.get()
    date, size = result["Message"].pop("Date"), result["Meta"].pop("Size")
    assert (date[-1], size > 500) == ("Z", True)
    assert result == {
        "Message": {
            "From": [{"Name": "Mox User", "Address": "mox+tx@localhost"}],
            "To": [{"Name": "Rcpt", "Address": "ok1@ok1.example"}],
            "CC": [], "BCC": [], "ReplyTo": [],
            "MessageID": sent["MessageID"], "References": [],
            "Subject": "hi ok1", "Text": "hello\n", "HTML": "",
        },
        "Structure": {
            "ContentType": "text/plain", "ContentTypeParams": {"charset": "us-ascii"},
            "ContentID": "", "ContentDisposition": "", "Filename": "", "DecodedSize": 7,
            "Parts": [],
        },
        "Meta": {
            "DSN": False, "Flags": [],
            "MailFrom": f"mox+{sent['Submissions'][0]['FromID']}@localhost",
            "MailFromValidated": True, "RcptTo": "ok1@ok1.example",
            "MsgFrom": "mox+tx@localhost", "MsgFromValidated": True,
            "DKIMVerifiedDomains": ["localhost"], "RemoteIP": "127.0.0.1",
            "MailboxName": "Inbox",
        },
    }  # fmt: skip
