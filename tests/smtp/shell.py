"""A server shell for tests: accepts nearly everything, and keeps what it was told."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from mox.smtp.config import Limits, ServerConfig
from mox.smtp.events import (
    NEEDS_REPLY,
    Auth,
    AuthResponse,
    Data,
    DataChunk,
    DataEnd,
    Event,
    Hello,
    MailFrom,
    RcptTo,
    StartTLS,
)
from mox.smtp.reply import Reply
from mox.smtp.server import Server

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
GREETING = Reply(220, None, "mx.example ESMTP mox")


def delivery(**changes: object) -> ServerConfig:
    return ServerConfig(**{"kind": "delivery", "hostname": "mx.example", **changes})


def submission(**changes: object) -> ServerConfig:
    settings = {
        "kind": "submission",
        "hostname": "mx.example",
        "auth": ("CRAM-MD5", "PLAIN", "LOGIN"),
        "future_release_s": 5_184_000,
        "auth_required": True,
        **changes,
    }
    return ServerConfig(**settings)


@dataclass
class Shell:
    """Runs a server machine. Addresses beginning with "no" are refused, "later" put off."""

    server: Server
    events: list[Event] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)
    problems: list[Reply] = field(default_factory=list)
    content: bytearray = field(default_factory=bytearray)
    refuse_data: Reply | None = None
    challenges: list[bytes] = field(default_factory=list)
    output: bytes = b""

    @classmethod
    def start(cls, config: ServerConfig, *, has_tls: bool = False) -> Shell:
        shell = cls(Server(config, has_tls=has_tls, now=lambda: NOW))
        shell.server.reply(GREETING)
        shell.run()
        shell.take()
        return shell

    def feed(self, data: bytes) -> bytes:
        """Give octets and return the answer."""
        self.server.receive(data)
        self.run()
        return self.take()

    def feed_bytewise(self, data: bytes) -> bytes:
        return b"".join(self.feed(data[at : at + 1]) for at in range(len(data)))

    def take(self) -> bytes:
        output, self.output = self.output, b""
        return output

    def run(self) -> None:
        while True:
            event = self.server.next_event()
            if event is None:
                break
            self.events.append(event)
            self.handle(event)
        self.output += self.server.data_to_send()
        if self.server.state.name == "TLS":
            self.server.tls_started(self.server.config)

    def handle(self, event: Event) -> None:
        if isinstance(event, DataChunk):
            self.content += event.data
        elif isinstance(event, Data) and self.refuse_data:
            self.server.reply(self.refuse_data)
        elif isinstance(event, RcptTo) and event.path.localpart.startswith("no"):
            self.server.reply(Reply(550, "5.1.1", "no such user"))
        elif isinstance(event, RcptTo) and event.path.localpart.startswith("later"):
            self.server.reply(Reply(452, "4.5.3", "not now"))
        elif isinstance(event, MailFrom) and event.path.localpart.startswith("no"):
            self.server.reply(Reply(550, "5.7.1", "not from you"))
        elif isinstance(event, DataEnd):
            self.end(event)
        elif isinstance(event, Auth | AuthResponse):
            self.authenticate(event)
        elif isinstance(event, NEEDS_REPLY):
            self.server.accept()

    def end(self, event: DataEnd) -> None:
        if event.problem is None:
            assert event.size == len(self.content)
            self.messages.append(bytes(self.content))
            self.server.accept()
        else:
            self.problems.append(event.problem)
            self.server.reply(event.problem)
        self.content.clear()

    def authenticate(self, event: Auth | AuthResponse) -> None:
        if isinstance(event, Auth):
            self.challenges = [b"second?", b"first?"]
        data = event.initial if isinstance(event, Auth) else event.data
        if data == b"secret":
            self.server.accept()
        elif not self.challenges:
            self.server.reply(Reply(535, "5.7.8", "bad credentials"))
        else:
            self.server.challenge(self.challenges.pop())

    def seen(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]


SMALL = Limits(command_line=60, auth_line=80, discard=200, drain=500, recipients=3)
__all__ = ["GREETING", "NOW", "SMALL", "Hello", "Shell", "StartTLS", "delivery", "submission"]
