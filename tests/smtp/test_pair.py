"""Our client and our server, talking to each other through memory."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mox.address import Path, parse_address
from mox.sasl import client as sasl_client
from mox.sasl import server as sasl_server
from mox.sasl.outcome import Challenge, Success
from mox.smtp.client import Client, ClientConfig
from mox.smtp.clientevents import (
    Authenticated,
    ClientEvent,
    Done,
    Failed,
    Greeted,
    Message,
    QuitDone,
    Ready,
    Replied,
    SendMessage,
)
from mox.smtp.events import Auth, AuthResponse
from mox.smtp.reply import Reply
from mox.smtp.server import Server
from tests.sasl.exchange import PASSWORD, USER, surroundings
from tests.smtp.shell import GREETING, NOW, Shell, delivery, submission


def path(text: str) -> Path:
    address = parse_address(text)
    return Path(address.localpart, address.domain)


class Pair:
    """Carries octets between the two until both have nothing more to say."""

    def __init__(self, shell: Shell, *, step: int) -> None:
        self.shell = shell
        self.client = Client(ClientConfig("client.example"))
        self.step = step
        self.shell.server.reply(GREETING)
        assert isinstance(self.run()[-1], Greeted)

    def run(self) -> list[ClientEvent]:
        events: list[ClientEvent] = []
        while True:
            self.shell.run()
            to_client = self.shell.take()
            self.carry(to_client, events)
            to_server = self.client.data_to_send()
            for at in range(0, len(to_server), self.step):
                self.shell.server.receive(to_server[at : at + self.step])
                self.shell.run()
            if not to_client and not to_server:
                return events

    def carry(self, data: bytes, events: list[ClientEvent]) -> None:
        for at in range(0, len(data), self.step):
            self.client.receive(data[at : at + self.step])
            while (event := self.client.next_event()) is not None:
                if not isinstance(event, Replied):
                    events.append(event)

    def send(self, content: bytes) -> Done:
        for at in range(0, len(content), self.step):
            self.client.send(content[at : at + self.step])
        self.client.finish()
        (done,) = self.run()
        assert isinstance(done, Done)
        return done


def pair(shell: Shell, step: int) -> Pair:
    both = Pair(shell, step=step)
    both.client.hello()
    (ready,) = both.run()
    assert isinstance(ready, Ready)
    return both


@pytest.mark.parametrize("step", [1, 7, 1 << 20], ids=["bytewise", "sevens", "whole"])
def test_delivery(step: int) -> None:
    shell = Shell(Server(delivery()))
    both = pair(shell, step)
    recipients = (path("a@b.example"), path("no@b.example"), path('"x y"@b.example'))
    both.client.transact(Message(path("me@a.example"), recipients, 100))
    assert both.run() == [SendMessage()]
    content = b".\r\n..\r\nSubject: x\r\n\r\n.hidden\r\n.\r\n"
    done = both.send(content)
    assert [result.delivered for result in done.results] == [True, False, True]
    assert shell.messages == [content]
    both.client.quit()
    (event,) = both.run()
    assert isinstance(event, QuitDone)
    assert shell.server.closed


@pytest.mark.parametrize("step", [1, 1 << 20], ids=["bytewise", "whole"])
def test_submission(step: int) -> None:
    shell = Shell(Server(submission(), has_tls=True, now=lambda: NOW))
    both = pair(shell, step)

    class Secret:
        name = "PLAIN"

        def initial(self) -> bytes | None:
            return None

        def step(self, challenge: bytes) -> bytes:
            return b"secret" if challenge == b"second?" else b"other"

        def finish(self) -> None:
            pass

    both.client.authenticate(Secret())
    (event,) = both.run()
    assert isinstance(event, Authenticated)
    assert shell.server.is_authenticated
    utf8 = Message(path("jörg@a.example"), (path("用户@b.example"),), 5, True, True)
    both.client.transact(utf8)
    assert both.run() == [SendMessage()]
    assert both.send("ü\r\n".encode()).results[0].delivered
    assert shell.messages == ["ü\r\n".encode()]


LINES = st.lists(st.sampled_from([b"", b".", b"..", b".x", b"x", b"x."])).map(
    lambda lines: b"".join(line + b"\r\n" for line in lines)
)


@settings(max_examples=60)
@given(LINES, st.integers(1, 9))
def test_any_content_arrives_identical(content: bytes, step: int) -> None:
    shell = Shell(Server(delivery()))
    both = pair(shell, step)
    both.client.transact(Message(path("me@a.example"), (path("a@b.example"),), 5))
    both.run()
    assert both.send(content).results[0].delivered
    assert shell.messages == [content]


class SASLShell(Shell):
    """Leaves authentication to the real mechanisms."""

    mechanism: sasl_server.Mechanism

    def authenticate(self, event: Auth | AuthResponse) -> None:
        if isinstance(event, Auth):
            self.mechanism = sasl_server.mechanism(event.mechanism, surroundings())
        data = event.initial if isinstance(event, Auth) else event.data
        outcome = self.mechanism.step(data)
        if isinstance(outcome, Challenge):
            self.server.challenge(outcome.data)
        elif isinstance(outcome, Success):
            self.server.accept()
        else:
            self.server.reply(Reply(535, "5.7.8", outcome.reason.value))


@pytest.mark.parametrize("password", [PASSWORD, "wrong"])
@pytest.mark.parametrize("name", [*sasl_server.HASHED, *sasl_server.PLAINTEXT])
def test_real_mechanisms(name: str, password: str) -> None:
    names = (*sasl_server.HASHED, *sasl_server.PLAINTEXT)
    shell = SASLShell(Server(submission(auth=names), has_tls=True, now=lambda: NOW))
    both = pair(shell, 5)
    announced = both.client.extensions.auth
    assert announced == names
    mechanism = sasl_client.mechanism(
        name, USER, password, announced=announced, binding=None, random=lambda n: b"c" * n
    )
    both.client.authenticate(mechanism)
    (event,) = both.run()
    if password == PASSWORD:
        assert isinstance(event, Authenticated)
        return
    assert isinstance(event, Failed)
    # a SCRAM client cancels where the server has told it that the proof is wrong
    assert event.reply.code == (501 if name.startswith("SCRAM") else 535)
    both.client.quit()
    assert isinstance(both.run()[-1], QuitDone)
