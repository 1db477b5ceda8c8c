"""`mox sendmail`: takes mail of cron and of scripts and submits it, as the program sendmail does.

The sender is always the one of the configuration: whoever is on this machine writes as it.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from dataclasses import dataclass
from email.utils import formataddr, getaddresses
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mox.cli.command import Command, no_arguments
from mox.errors import MoxError, UserError

if TYPE_CHECKING:
    from mox.config.submit import SubmitConfig
    from mox.serving.stream import Stream
    from mox.tlsio.identity import Identity

CONFIG_VARIABLE: Final = "MOXSUBMITCONF"
DEFAULT_CONFIG: Final = "/etc/moxsubmit.conf"
MAX_OCTETS: Final = 100 << 20
_TIMEOUT_S: Final = 30.0
# Flags of sendmail that have a value as the next word when none is attached.
_WITH_VALUE: Final = frozenset("BCDFLNORVXfhopr")
_FIELD: Final = re.compile(rb"[!-9;-~]+[ \t]*:[^\n]*(?:\n[ \t][^\n]*)*\n?")


@dataclass(slots=True)
class _Flags:
    """What of the command line means something here."""

    full_name: str = ""
    recipients_in_header: bool = False
    ignores_dots: bool = False
    recipients: tuple[str, ...] = ()


def read_flags(words: list[str]) -> _Flags:
    """Read a command line as sendmail has it; flags without meaning here are passed over."""
    flags, rest = _Flags(), list(words)
    while rest and rest[0].startswith("-"):
        word = rest.pop(0)
        if word == "--":
            break
        letter, value = word[1:2], word[2:]
        if letter in _WITH_VALUE and not value and rest:
            value = rest.pop(0)
        if letter == "F":
            flags.full_name = " ".join(value.split())
        elif letter == "t":
            flags.recipients_in_header = True
        elif letter == "i" or (letter == "o" and value == "i"):
            flags.ignores_dots = True
    flags.recipients = tuple(rest)
    return flags


def compose(config: SubmitConfig, flags: _Flags, content: bytes) -> tuple[str, bytes]:
    """Return the recipient and the message in wire form. Raises UserError."""
    text = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\0", b"")
    if not flags.ignores_dots:
        text = re.split(rb"(?m)^\.$\n?", text, maxsplit=1)[0]
    fields: list[bytes] = []
    at = 0
    while match := _FIELD.match(text, at):
        fields.append(match[0].rstrip(b"\n") + b"\n")
        at = match.end()
    body = text[at:].removeprefix(b"\n")
    recipient = _recipient(config, flags, fields)
    kept = [field for field in fields if _name(field) not in (b"from", b"bcc")]
    author = formataddr((flags.full_name, config.from_)) if flags.full_name else config.from_
    head = f"From: {author}\n".encode()
    if not any(_name(field) == b"to" for field in kept):
        head += f"To: {recipient}\n".encode()
    if config.require_tls == "no":
        head += b"TLS-Required: No\n"
    if body and not body.endswith(b"\n"):
        body += b"\n"
    return recipient, b"".join([head, *kept, b"\n", body]).replace(b"\n", b"\r\n")


def _name(field: bytes) -> bytes:
    return field.partition(b":")[0].strip().lower()


def _recipient(config: SubmitConfig, flags: _Flags, fields: list[bytes]) -> str:
    wanted = list(flags.recipients)
    if flags.recipients_in_header:
        values = [
            field.partition(b":")[2].decode("utf-8", "replace").replace("\n", " ")
            for field in fields
            if _name(field) == b"to"
        ]
        wanted += [address for _, address in getaddresses(values) if address]
    if len(wanted) != 1:
        raise UserError(f"need one recipient, not {len(wanted)}")
    if "@" in wanted[0]:
        return wanted[0]
    if not config.default_destination:
        raise UserError(f"no DefaultDestination for local user {wanted[0][:80]!r}")
    return config.default_destination


def submit(config: SubmitConfig, recipient: str, content: bytes) -> None:
    """Hand a message to the submission server. Raises MoxError."""
    from mox.address import Path as SMTPPath
    from mox.address import parse_address
    from mox.config.transport import SMTPAuth
    from mox.queue.session import Session, Setup
    from mox.smtp.clientevents import Message
    from mox.tlsio.client import ClientContext
    from mox.tlspolicy.policy import PLAINTEXT, TLSMode, TLSPolicy

    sender, to = parse_address(config.from_), parse_address(recipient)
    has_tls = config.tls or config.starttls
    mode = TLSMode.IMMEDIATE if config.tls else TLSMode.REQUIRED
    setup = Setup(
        hostname=config.local_hostname,
        host=config.host,
        tls=TLSPolicy(mode, verify=not config.tls_insecure_skip_verify) if has_tls else PLAINTEXT,
        now=time.time(),
        context=ClientContext(verify=False, identity=_client_key(config)) if has_tls else None,
        auth=SMTPAuth(
            username=config.username,
            password=config.password,
            mechanisms=_mechanisms(config),
        ),
    )
    session = Session(_dial(config), setup)
    session.open()
    try:
        message = Message(
            reverse_path=SMTPPath(sender.localpart, sender.domain),
            forward_paths=(SMTPPath(to.localpart, to.domain),),
            size=len(content),
            is_8bit=not content.isascii(),
            smtputf8=not content.partition(b"\r\n\r\n")[0].isascii()
            or sender.needs_smtputf8
            or to.needs_smtputf8,
            requiretls=config.require_tls == "yes",
        )
        done = session.transact(message, [content])
    finally:
        session.close()
    [result] = done.results
    if not result.delivered:
        raise UserError(f"{config.host}: {result.reply or done.problem}")


def _client_key(config: SubmitConfig) -> Identity | None:
    """Return the certificate to log in with, if that is how. Raises TLSConfigError."""
    from mox.tlsio.clientkey import ed25519_identity, file_identity

    if config.client_auth_ed25519_private_key:
        return ed25519_identity(config.client_auth_ed25519_private_key)
    if config.client_auth_cert_private_key_pem_file:
        return file_identity(Path(config.client_auth_cert_private_key_pem_file))
    return None


def _mechanisms(config: SubmitConfig) -> tuple[str, ...]:
    from mox.config.submit import EXTERNAL
    from mox.config.transport import DEFAULT_MECHANISMS

    if config.auth_method:
        return (config.auth_method,)
    if config.has_client_key:
        return (EXTERNAL,)
    has_tls = config.tls or config.starttls
    return (*DEFAULT_MECHANISMS, *(("PLAIN",) if has_tls else ()))


def _dial(config: SubmitConfig) -> Stream:
    """Connect to the first address of the server that can be reached."""
    from ipaddress import ip_address

    import gevent.socket

    from mox.serving.dial import dial
    from mox.serving.errors import ConnectionLost, ConnectionTimeout

    failures: list[str] = []
    found = gevent.socket.getaddrinfo(config.host, config.port, type=gevent.socket.SOCK_STREAM)
    for *_, address in found:
        ip = ip_address(str(address[0]).partition("%")[0])
        try:
            return dial(ip, config.port, timeout_s=_TIMEOUT_S)
        except (ConnectionLost, ConnectionTimeout) as e:
            failures.append(f"{ip} port {config.port}: {e}")
    raise UserError("; ".join(failures))


def _keep(content: bytes) -> Path:
    """Keep what could not be submitted."""
    directory = Path.home() / "moxsubmit.failures"
    directory.mkdir(mode=0o700, exist_ok=True)
    path = directory / f"{time.time_ns()}.{os.getpid()}"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    return path


def _run(args: argparse.Namespace) -> int:
    from mox.config.submit import load_submit

    flags = read_flags(args.words)
    content = sys.stdin.buffer.read(MAX_OCTETS + 1)
    if len(content) > MAX_OCTETS:
        raise UserError("message is too large")
    try:
        config = load_submit(Path(os.environ.get(CONFIG_VARIABLE) or DEFAULT_CONFIG))
        submit(config, *compose(config, flags, content))
    except (MoxError, OSError) as e:
        print(f"sendmail: {e}\nmessage is kept in {_keep(content)}", file=sys.stderr)
        return 1
    return 0


COMMANDS = [
    Command(
        ("sendmail",),
        "Submit a message from standard input, as the program sendmail does for cron and scripts: "
        "sendmail [-Fname] [-t] [-i] [recipient]. Configuration: /etc/moxsubmit.conf. Other "
        "flags of sendmail are passed over. What cannot be submitted is kept in "
        "~/moxsubmit.failures.",
        no_arguments,
        _run,
        takes_words=True,
    ),
]
