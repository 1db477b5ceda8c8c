"""A localserve instance whose account has webhooks, and what tests do with it."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator, Sequence
from email.message import EmailMessage

from tests.support.hookreceiver import HookReceiver
from tests.support.server import PASSWORD, USER, Server, eventually

_ACCOUNT = "\tmox:\n"
_WEBHOOKS = """\
		FromIDLoginAddresses:
			- mox@localhost
		OutgoingWebhook:
			URL: {out}
			Authorization: Bearer out-secret
		IncomingWebhook:
			URL: {into}
			Authorization: Bearer in-secret
"""


def with_webhooks(server: Server, out: str, into: str) -> None:
    """Configure the URLs, before the server is started or while it runs."""
    server.edit("domains.conf", _ACCOUNT, _ACCOUNT + _WEBHOOKS.format(out=out, into=into))


def submit(server: Server, *recipients: str, subject: str = "hi", extra: str = "") -> None:
    """Send a message; `extra` becomes its Extra with the key "Order"."""
    message = EmailMessage()
    message["From"] = USER
    message["To"] = ", ".join(recipients)
    message["Subject"] = subject
    if extra:
        message["X-Mox-Extra-Order"] = extra
    message.set_content("text\n")
    with smtplib.SMTP("127.0.0.1", server.submission, timeout=60) as client:
        client.login(USER, PASSWORD)
        client.send_message(message)


def hook_ids(server: Server, *words: str) -> list[int]:
    """The ids that `mox queue webhook …` lists."""
    done = server.run("queue", "webhook", *words)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()[1:]
    return [int(line.split()[0]) for line in lines if line != "(none)"]


def until_called(server: Server, receivers: Sequence[HookReceiver], seconds: float = 60.0) -> None:
    """Wait until no call waits any more; what failed is tried at once."""

    def is_done() -> bool:
        server.run("queue", "webhook", "schedule", "-now", "0s")
        return not hook_ids(server, "list")

    eventually(is_done, seconds, 0.5)


def outgoing(receiver: HookReceiver) -> Iterator[dict[str, object]]:
    for call in receiver.calls:
        if "Event" in call.json:
            yield call.json
