"""The client machine against a scripted server."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mox.address import NULL_PATH, Address, Path, parse_address
from mox.smtp.client import Client, ClientConfig
from mox.smtp.clientevents import (
    Authenticated,
    ClientEvent,
    Done,
    Failed,
    GoTLS,
    Greeted,
    Lack,
    Lost,
    Message,
    QuitDone,
    Ready,
    Replied,
    ResetDone,
    SendMessage,
    Unsendable,
)
from mox.smtp.errors import BadMessage, LocalProtocolError
from mox.smtp.reply import Reply

ALL = b"250-x\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-ENHANCEDSTATUSCODES\r\n250 8BITMIME\r\n"
PLAIN = b"250 x\r\n"


def path(text: str) -> Path:
    address: Address = parse_address(text)
    return Path(address.localpart, address.domain)


A, B, C = (path(f"{name}@b.example") for name in "abc")
SENDER = path("me@a.example")


def events(client: Client, data: bytes | None = None) -> list[ClientEvent]:
    """Give octets (None: the end of the stream) and return the events but notices."""
    if data is None:
        client.receive(b"")
    elif data:
        client.receive(data)
    found = []
    while (event := client.next_event()) is not None:
        if not isinstance(event, Replied):
            found.append(event)
    return found


def ready(hello: bytes = ALL, config: ClientConfig | None = None) -> Client:
    client = Client(config or ClientConfig("me.example"))
    (greeted,) = events(client, b"220 x\r\n")
    assert isinstance(greeted, Greeted)
    client.hello()
    assert client.data_to_send() == b"EHLO me.example\r\n"
    (event,) = events(client, hello)
    assert isinstance(event, Ready)
    return client


def begin(*recipients: Path, hello: bytes = ALL) -> Client:
    client = ready(hello)
    client.transact(Message(SENDER, recipients, 10))
    return client


def codes(done: ClientEvent) -> list[tuple[int | None, bool, bool]]:
    assert isinstance(done, Done)
    return [
        (result.reply.code if result.reply else None, result.delivered, result.temporary)
        for result in done.results
    ]


def test_pipelined_transaction_is_one_write() -> None:
    client = begin(A, B)
    assert client.data_to_send() == (
        b"MAIL FROM:<me@a.example> SIZE=10 BODY=7BIT\r\n"
        b"RCPT TO:<a@b.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\n"
    )
    (event,) = events(client, b"250 2.1.0 a\r\n250 2.1.5 b\r\n550 5.1.1 c\r\n354 d\r\n")
    assert event == SendMessage()
    client.send(b"Subject: x\r\n\r\n")
    client.send(b".\r\n")
    client.finish()
    assert client.data_to_send() == b"Subject: x\r\n\r\n..\r\n.\r\n"
    (done,) = events(client, b"250 2.0.0 queued\r\n")
    assert codes(done) == [(250, True, False), (550, False, False)]
    assert isinstance(done, Done)
    assert not done.needs_reset
    assert done.results[1].reply == Reply(550, "5.1.1", "c")
    client.transact(Message(SENDER, (C,), 10))


def test_step_by_step_without_pipelining() -> None:
    client = begin(A, B, hello=PLAIN)
    assert client.data_to_send() == b"MAIL FROM:<me@a.example>\r\n"
    assert events(client, b"250 ok\r\n") == []
    assert client.data_to_send() == b"RCPT TO:<a@b.example>\r\n"
    assert events(client, b"250 ok\r\n") == []
    assert client.data_to_send() == b"RCPT TO:<b@b.example>\r\n"
    assert events(client, b"250 ok\r\n") == []
    assert client.data_to_send() == b"DATA\r\n"
    assert events(client, b"354 go\r\n") == [SendMessage()]
    client.finish()
    (done,) = events(client, b"451 later\r\n")
    assert codes(done) == [(451, False, True)] * 2
    assert isinstance(done, Done)
    assert done.needs_reset


PIPELINED = [
    # MAIL refused: that is everybody's result
    (b"550 no\r\n503 a\r\n503 b\r\n503 c\r\n", [(550, False, False)] * 2),
    (b"451 no\r\n503 a\r\n503 b\r\n503 c\r\n", [(451, False, True)] * 2),
    # no recipient accepted
    (b"250 ok\r\n550 a\r\n450 b\r\n503 c\r\n", [(550, False, False), (450, False, True)]),
    # 552 for a recipient means too many, which is temporary
    (b"250 ok\r\n250 a\r\n552 b\r\n451 c\r\n", [(451, False, True), (552, False, True)]),
    # DATA refused
    (b"250 ok\r\n250 a\r\n550 b\r\n554 c\r\n", [(554, False, False), (550, False, False)]),
    # DATA answered with something else than 354 delivers nothing
    (b"250 ok\r\n250 a\r\n250 b\r\n250 c\r\n", [(250, False, True)] * 2),
]


@pytest.mark.parametrize(("replies", "expected"), PIPELINED)
def test_pipelined_results(replies: bytes, expected: list[tuple[int, bool, bool]]) -> None:
    client = begin(A, B)
    client.data_to_send()
    (done,) = events(client, replies)
    assert codes(done) == expected
    assert client.data_to_send() == b""


@pytest.mark.parametrize(
    ("replies", "expected"),
    [
        (b"550 no\r\n", [(550, False, False)] * 2),
        (b"250 ok\r\n550 a\r\n", [(550, False, False), (None, False, True)]),
        (b"250 ok\r\n550 a\r\n551 b\r\n", [(550, False, False), (551, False, False)]),
        (b"250 ok\r\n250 a\r\n550 b\r\n", [(None, False, True), (550, False, False)]),
        (b"", [(None, False, True)] * 2),
        (b"250 ok\r\n250 a\r\nnonsense\r\n", [(None, False, True)] * 2),
        (b"421 closing\r\n", [(421, False, True)] * 2),
    ],
)
def test_connection_lost_within_a_transaction(
    replies: bytes, expected: list[tuple[int | None, bool, bool]]
) -> None:
    client = begin(A, B)
    found = events(client, replies)
    found += events(client, None)
    done, lost = found
    assert codes(done) == expected
    assert isinstance(lost, Lost)
    assert isinstance(done, Done)
    assert done.problem
    assert not client.is_usable
    assert events(client, b"250 ok\r\n") == []


def test_lost_before_the_final_reply() -> None:
    client = begin(A)
    events(client, b"250 a\r\n250 b\r\n354 c\r\n")
    client.finish()
    done, lost = events(client, None)
    assert codes(done) == [(None, False, True)]
    assert lost == Lost("server closed the connection")


def test_refused_before_all_was_sent() -> None:
    client = begin(A)
    events(client, b"250 a\r\n250 b\r\n354 c\r\n")
    client.send(b"x\r\n")
    done, lost = events(client, b"552 5.3.4 too large\r\n")
    assert codes(done) == [(552, False, False)]
    assert isinstance(lost, Lost)


def test_354_without_recipients_is_brought_back_in_step() -> None:
    client = begin(A)
    client.data_to_send()
    assert events(client, b"250 a\r\n550 b\r\n354 c\r\n") == []
    assert client.data_to_send() == b".\r\n"
    (done,) = events(client, b"554 no recipients\r\n")
    assert codes(done) == [(550, False, False)]
    client.reset()
    assert client.data_to_send() == b"RSET\r\n"
    assert events(client, b"250 ok\r\n") == [ResetDone(Reply(250, None, "ok"))]


def test_too_many_recipients_without_pipelining() -> None:
    client = begin(A, B, C, hello=PLAIN)
    events(client, b"250 ok\r\n")
    events(client, b"250 ok\r\n")
    client.data_to_send()
    events(client, b"452 enough\r\n")
    assert client.data_to_send() == b"DATA\r\n"
    events(client, b"354 go\r\n")
    client.finish()
    (done,) = events(client, b"250 ok\r\n")
    assert codes(done) == [(250, True, False), (452, False, True), (452, False, True)]
    assert isinstance(done, Done)
    assert [result.tried for result in done.results] == [True, True, False]


def test_helo_after_refused_ehlo() -> None:
    client = Client(ClientConfig("me.example"))
    events(client, b"220 x\r\n")
    client.hello()
    client.data_to_send()
    assert events(client, b"502 what\r\n") == []
    assert client.data_to_send() == b"HELO me.example\r\n"
    (event,) = events(client, b"250 x\r\n")
    assert isinstance(event, Ready)
    assert not event.extensions.pipelining


def test_ehlo_refused_for_another_reason_or_after_tls() -> None:
    client = Client(ClientConfig("me.example"))
    events(client, b"220 x\r\n")
    client.hello()
    assert events(client, b"550 not you\r\n") == [Failed("EHLO", Reply(550, None, "not you"))]
    client = ready()
    client.start_tls()
    events(client, b"220 go\r\n")
    client.tls_started()
    assert not client.extensions.pipelining
    client.hello()
    assert events(client, b"500 what\r\n") == [Failed("EHLO", Reply(500, None, "what"))]


def test_starttls() -> None:
    client = ready()
    client.start_tls()
    assert events(client, b"454 4.7.0 no\r\n") == [Failed("STARTTLS", Reply(454, "4.7.0", "no"))]
    client.start_tls()
    assert events(client, b"220 2.0.0 go\r\n") == [GoTLS()]
    client.tls_started()
    assert client.has_tls


def test_replies_injected_before_tls_end_the_connection() -> None:
    client = ready()
    client.start_tls()
    (lost,) = events(client, b"220 go\r\n250-x\r\n")
    assert isinstance(lost, Lost)


def test_greetings() -> None:
    client = Client(ClientConfig("me.example"))
    assert events(client, b"554 no\r\n") == [Failed("", Reply(554, None, "no"))]
    client.quit()
    assert client.data_to_send() == b"QUIT\r\n"
    assert events(client, None) == [QuitDone(None)]
    client = Client(ClientConfig("me.example"))
    failed, lost = events(client, b"421 4.3.2 later\r\n")
    assert isinstance(failed, Failed)
    assert isinstance(lost, Lost)


def test_unasked_words_end_the_connection() -> None:
    client = ready()
    (lost,) = events(client, b"421 4.4.2 idle too long\r\n")
    assert isinstance(lost, Lost)
    assert "idle too long" in lost.reason
    with pytest.raises(LocalProtocolError):
        client.hello()


class Echo:
    """A mechanism that answers with what it is asked."""

    name = "ECHO"

    def __init__(self, initial: bytes | None = None, problem: Exception | None = None) -> None:
        self._initial = initial
        self._problem = problem

    def initial(self) -> bytes | None:
        return self._initial

    def step(self, challenge: bytes) -> bytes:
        if challenge == b"bad" and self._problem:
            raise self._problem
        return challenge

    def finish(self) -> None:
        if self._problem:
            raise self._problem


def test_auth() -> None:
    client = ready()
    client.authenticate(Echo(b""))
    assert client.data_to_send() == b"AUTH ECHO =\r\n"
    assert events(client, b"334 YWJj\r\n") == []
    assert client.data_to_send() == b"YWJj\r\n"
    assert events(client, b"334 \r\n") == []
    assert client.data_to_send() == b"\r\n"
    assert events(client, b"235 2.7.0 ok\r\n") == [Authenticated(Reply(235, "2.7.0", "ok"))]


def test_auth_refused_or_given_up() -> None:
    client = ready()
    client.authenticate(Echo())
    assert client.data_to_send() == b"AUTH ECHO\r\n"
    assert events(client, b"535 5.7.8 no\r\n") == [Failed("AUTH", Reply(535, "5.7.8", "no"))]
    client.authenticate(Echo(problem=BadMessage("odd")))
    client.data_to_send()
    assert events(client, b"334 YmFk\r\n") == []
    assert client.data_to_send() == b"*\r\n"
    assert events(client, b"501 5.5.0 ok\r\n") == [Failed("AUTH", Reply(501, "5.5.0", "ok"), "odd")]
    client.authenticate(Echo())
    client.data_to_send()
    events(client, b"334 !!\r\n")
    assert client.data_to_send() == b"*\r\n"


def test_server_that_proves_nothing() -> None:
    client = ready()
    client.authenticate(Echo(problem=BadMessage("no proof")))
    (failed,) = events(client, b"235 2.7.0 ok\r\n")
    assert isinstance(failed, Failed)
    assert failed.detail == "no proof"


def test_long_initial_response_waits_for_the_challenge() -> None:
    client = ready()
    client.authenticate(Echo(b"x" * 500))
    assert client.data_to_send() == b"AUTH ECHO\r\n"


UTF8 = path("jörg@münchen.example")


@pytest.mark.parametrize(
    ("message", "lack"),
    [
        (Message(SENDER, (A,), 1001), Lack.SIZE),
        (Message(SENDER, (A,), 1, smtputf8=True), Lack.SMTPUTF8),
        (Message(SENDER, (UTF8,), 1), Lack.SMTPUTF8),
        (Message(SENDER, (A,), 1, requiretls=True), Lack.REQUIRETLS),
    ],
)
def test_unsendable(message: Message, lack: Lack) -> None:
    client = ready()
    with pytest.raises(Unsendable) as caught:
        client.transact(message)
    assert caught.value.lack is lack
    assert client.data_to_send() == b""
    client.transact(Message(SENDER, (A,), 1))


def test_8bit_content() -> None:
    message = Message(SENDER, (A,), 1, is_8bit=True)
    client = ready()
    client.transact(message)
    assert b" BODY=8BITMIME\r\n" in client.data_to_send()
    client = ready(PLAIN)
    client.transact(message)
    assert client.data_to_send() == b"MAIL FROM:<me@a.example>\r\n"
    client = ready(PLAIN, ClientConfig("me.example", require_8bitmime=True))
    with pytest.raises(Unsendable):
        client.transact(message)


def test_paths_and_parameters() -> None:
    client = ready(b"250-x\r\n250-SMTPUTF8\r\n250-REQUIRETLS\r\n250 PIPELINING\r\n")
    quoted = path('"a b"@c.example')
    client.transact(Message(NULL_PATH, (UTF8, quoted), 1, smtputf8=True, requiretls=True))
    assert client.data_to_send().decode() == (
        "MAIL FROM:<> SMTPUTF8 REQUIRETLS\r\nRCPT TO:<jörg@münchen.example>\r\n"
        'RCPT TO:<"a b"@c.example>\r\nDATA\r\n'
    )
    client = ready(PLAIN)
    client.transact(Message(path("x@münchen.example"), (A,), 1))
    assert client.data_to_send() == b"MAIL FROM:<x@xn--mnchen-3ya.example>\r\n"


def test_bad_message() -> None:
    client = begin(A)
    events(client, b"250 a\r\n250 b\r\n354 c\r\n")
    with pytest.raises(BadMessage):
        client.send(b"a\nb\r\n")
    client = begin(A)
    events(client, b"250 a\r\n250 b\r\n354 c\r\n")
    client.send(b"cr at the end\r")
    with pytest.raises(BadMessage):
        client.finish()


def test_misuse() -> None:
    client = Client(ClientConfig("me.example"))
    with pytest.raises(LocalProtocolError):
        client.hello()
    client = ready()
    with pytest.raises(LocalProtocolError):
        client.send(b"x")
    client.hello()
    with pytest.raises(LocalProtocolError):
        client.quit()
    with pytest.raises(LocalProtocolError):
        ready().transact(Message(SENDER, (), 1))


REPLIES = st.lists(
    st.one_of(
        st.sampled_from([b"250 ok\r\n", b"354 go\r\n", b"550 no\r\n", b"452 x\r\n", b"421 x\r\n"]),
        st.binary(max_size=20),
    ),
    max_size=12,
)


@settings(max_examples=300)
@given(REPLIES, st.booleans())
def test_a_transaction_ends_once_whatever_the_server_says(
    replies: list[bytes], pipelining: bool
) -> None:
    client = begin(A, B, hello=ALL if pipelining else PLAIN)
    done = 0
    for reply in [*replies, None]:
        for event in events(client, reply):
            if event == SendMessage():
                client.finish()
            done += isinstance(event, Done)
        if done:
            break
    assert done == 1
