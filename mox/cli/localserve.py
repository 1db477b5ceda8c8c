"""`mox localserve`: a mail server for tests on one machine, without root, made in a moment."""

from __future__ import annotations

import argparse
import errno
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from gevent.monkey import get_original

from mox import __version__
from mox.cli.command import Command, Globals
from mox.errors import UserError

if TYPE_CHECKING:
    from mox.cli.localserve_files import Choices
    from mox.config import Config
    from mox.supervisor.settings import Endpoint

DEFAULT_OFFSET = 1000
_PlainSocket: type[socket.socket] = get_original("socket", "socket")

_SPECIAL = """\
Special addresses, to make deliveries fail (also with +anything or another domain):
  ...temperror@   451, a temporary failure
  ...permerror@   550, a permanent failure
  ...timeout@     nothing happens for an hour
  ...NNN@         fails with this code, from 400 to 599
A localpart that begins with "mailfrom" or "rcptto" fails at this command, one that begins with
"queue" is taken at submission and fails in the queue, all others fail at the end of the message."""

_URLS = {
    "smtp": ("smtp", "", "mail from other servers"),
    "submission": ("smtp", "{user}@", "submission, logins without TLS allowed"),
    "submissions": ("smtps", "{user}@", "submission with TLS"),
    "imap": ("imap", "{user}@", "mailboxes, logins without TLS allowed"),
    "imaps": ("imaps", "{user}@", "mailboxes with TLS"),
}
_WEB = {
    "metrics": ("metrics", "metrics for Prometheus"),
    "webapi": ("v0/", "webapi, for programs"),
}


def _localserve(args: argparse.Namespace) -> int:
    directory = Path(args.dir).absolute() if args.dir else _default_directory()
    os.umask(os.umask(0) | 0o007)
    if args.check or _is_next_program():
        return _serve(directory, args)
    is_new = not directory.exists()
    if is_new or args.initonly:
        _create(directory, _choices(args), is_new=is_new)
        if args.initonly:
            print(f"configuration written to {directory}")
            return 0
    else:
        _check_existing(directory, args)
    _print_summary(directory, is_new=is_new)
    return _serve(directory, args)


def _serve(directory: Path, args: argparse.Namespace) -> int:
    from mox.supervisor import start
    from mox.supervisor.load import Options

    given: Globals = args.globals
    options = Options(directory / "mox.conf", given.loglevel, given.pedantic, localserve=True)
    return start.check(options) if args.check else start.serve(options)


def _is_next_program() -> bool:
    from mox.supervisor import handover

    return handover.VARIABLE in os.environ


def _default_directory() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME") or ""
    if os.path.isabs(base):
        return Path(base) / "mox-localserve"
    home = os.environ.get("HOME")
    return Path(home) / ".config/mox-localserve" if home else Path("mox-localserve").absolute()


def _check_existing(directory: Path, args: argparse.Namespace) -> None:
    for flag, value in (("-ip", args.ip), ("-port-offset", args.port_offset)):
        if value is not None:
            raise UserError(f"can only use {flag} when writing a new config file")
    if not (directory / "mox.conf").is_file():
        raise UserError(
            f"{directory} exists but has no mox.conf; to have a new configuration made there, "
            f"the directory must not exist yet"
        )


def _choices(args: argparse.Namespace) -> Choices:
    from mox.cli.localserve_files import MAX_OFFSET, Choices

    offset = DEFAULT_OFFSET if args.port_offset is None else args.port_offset
    if not 0 <= offset <= MAX_OFFSET:
        raise UserError(f"-port-offset must be from 0 to {MAX_OFFSET}")
    if args.ip is None:
        return Choices([ip for ip in ("127.0.0.1", "::1") if _has_ip(ip)], offset)
    try:
        return Choices([str(ip_address(args.ip))], offset)
    except ValueError:
        raise UserError(f"-ip: not an IP address: {args.ip}") from None


def _has_ip(ip: str) -> bool:
    """Whether this machine has the address: containers often lack IPv6."""
    try:
        with _PlainSocket(socket.AF_INET6 if ":" in ip else socket.AF_INET) as sock:
            sock.bind((ip, 0))
    except OSError as exc:
        if exc.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            return False
        raise
    return True


def _create(directory: Path, choices: Choices, *, is_new: bool) -> None:
    """Make the directory and all in it; a new one goes again when something fails."""
    from mox.cli.localserve_files import make_account, write_files
    from mox.supervisor.aside import run_aside

    if not is_new:
        print(f"warning: {directory} exists, replacing files in it", file=sys.stderr)
    try:
        directory.mkdir(mode=0o770, parents=True, exist_ok=not is_new)
        write_files(directory, choices)
        run_aside(lambda: make_account(directory))
    except BaseException:
        if is_new:
            shutil.rmtree(directory, ignore_errors=True)
        raise


def _print_summary(directory: Path, *, is_new: bool) -> None:
    from mox.cli.localserve_files import ADDRESS, ADMIN_PASSWORD, CERTIFICATE, PASSWORD
    from mox.config import load

    config = load(directory / "mox.conf")
    print(f"mox, version {__version__}, a mail server for tests\n")
    print(f"user {ADDRESS}, password {PASSWORD}; mox+anything@localhost works too")
    print(f"administrator's password {ADMIN_PASSWORD}")
    print(f"certificate {directory / CERTIFICATE}\n")
    print(_SPECIAL, end="\n\n")
    for url, meaning in _urls(config):
        print(f"  {url:<54} {meaning}")
    state = "newly created" if is_new else "existing"
    print(f"\nserving from {state} config dir {directory}", flush=True)


def _urls(config: Config) -> list[tuple[str, str]]:
    from mox.cli.localserve_files import ADDRESS, PASSWORD
    from mox.supervisor.settings import endpoints_of

    user = f"{ADDRESS.replace('@', '%40')}:{PASSWORD}"
    # One line for the addresses that all are localhost.
    found: dict[tuple[str, str], None] = {}
    for endpoint in endpoints_of(config):
        address = ip_address(endpoint.ip)
        host = "localhost" if address.is_loopback else f"{address}"
        if ":" in host:
            host = f"[{host}]"
        at = f"{host}:{endpoint.port}"
        if endpoint.service in _URLS:
            scheme, credentials, meaning = _URLS[endpoint.service]
            found[f"{scheme}://{credentials.format(user=user)}{at}", meaning] = None
        else:
            found |= dict.fromkeys(_web_urls(config, endpoint, at))
    return list(found)


def _web_urls(config: Config, endpoint: Endpoint, at: str) -> Iterator[tuple[str, str]]:
    from mox.web.routes import site_of

    for mount in site_of(config, endpoint.listener, endpoint.port).mounts:
        below, meaning = _WEB[mount.service]
        yield f"{endpoint.service}://{at}{mount.path}{below}", meaning


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-dir", help="configuration and data; default: mox-localserve in ~/.config")
    parser.add_argument("-ip", help="listen on this address instead of 127.0.0.1 and ::1")
    parser.add_argument("-initonly", action="store_true", help="write the configuration and exit")
    parser.add_argument(
        "-port-offset",
        type=int,
        metavar="N",
        help=f"added to the standard ports in a new configuration; default {DEFAULT_OFFSET}",
    )
    parser.add_argument(
        "-check", action="store_true", help="only see whether the server would start"
    )


COMMANDS = [
    Command(
        ("localserve",),
        "Run a mail server for tests: it accepts mail for any address and delivers everything "
        "that is submitted to itself. The first start writes a configuration with an account. "
        "Runs in the foreground, needs no root.",
        _configure,
        _localserve,
    ),
]
