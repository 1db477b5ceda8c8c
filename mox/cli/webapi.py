"""`mox webapi`: methods of a webapi, and calls of them."""

from __future__ import annotations

import argparse
import os
import ssl
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mox.cli.command import Command
from mox.errors import UserError

if TYPE_CHECKING:
    from mox.webapi.client import Client
    from mox.webapi.methods import Method
    from mox.webapi.upload import Upload

_URL_VARIABLE: Final = "MOXWEBAPI"
_MAX_REQUEST: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the words after the method are, by their form; `request` None: standard input."""

    url: str
    request: bytes | None


def _run(args: argparse.Namespace) -> int:
    if not args.words:
        _list()
        return 0
    name, *rest = args.words
    from mox.webapi.methods import METHODS

    if name not in METHODS:
        raise UserError(f"no method {name!r}; they are: {', '.join(METHODS)}")
    if rest:
        return _call(name, _read_words(rest), args)
    _describe(METHODS[name])
    return 0


# ---- looking


def _list() -> None:
    from mox.webapi.methods import METHODS

    width = max(map(len, METHODS))
    for method in METHODS.values():
        print(f"{method.name:{width}}  {method.summary}")


def _describe(method: Method) -> None:
    from mox.webapi.examples import request_json, response_json
    from mox.webapi.fields import tables

    print(f"{method.name}: {method.summary}\n{_plain(method.description)}\n")
    print(f"request, for example:\n{request_json(method.name)}\n")
    for table in tables(method.request):
        for field in table.fields:
            text = f": {_plain(field.description)}" if field.description else ""
            print(f"  {table.name}.{field.name}, {field.kind}{text}")
    response = response_json(method.name) or "(the content itself)"
    print(f"\nresponse, for example:\n{response}")


def _plain(text: str) -> str:
    return text.replace("`", "")


# ---- calling


def _read_words(words: Sequence[str]) -> _Wanted:
    url, request = os.environ.get(_URL_VARIABLE, ""), None
    for word in words:
        if word.startswith(("http://", "https://")):
            url = word
        elif word.lstrip().startswith("{"):
            request = word.encode("utf-8", "surrogateescape")
        elif word != "-":
            raise UserError(
                f"{word!r} is neither a URL, which begins with https:// or http://, "
                "nor a request, which begins with {, nor - for a request on standard input"
            )
    if not url:
        raise UserError(
            "where is the webapi? Give its URL with credentials, such as "
            "https://user%40example.org:password@mail.example.org/webapi/, as an argument or, "
            f"unseen by other users of this machine, in the environment as {_URL_VARIABLE}"
        )
    return _Wanted(url, request)


def _call(name: str, wanted: _Wanted, args: argparse.Namespace) -> int:
    from mox.webapi.client import Unauthorized, Unreachable

    files = {
        field: [_upload(path) for path in paths]
        for field, paths in (
            ("alternativefile", args.alternativefile),
            ("inlinefile", args.inlinefile),
            ("attachedfile", args.attachedfile),
        )
        if paths
    }
    if name != "Send" and (files or args.idempotencykey):
        raise UserError("files and an idempotency key are for Send")
    with _client(wanted.url, args.cacert) as client:
        request = _stdin() if wanted.request is None else wanted.request
        write = sys.stdout.buffer.write
        try:
            client.call_json(name, request, write, files=files, idempotency_key=args.idempotencykey)
        except Unauthorized as e:
            raise UserError(
                f"{e}\nThe user is {client.endpoint.username}, an address of the account; "
                "a mistake in the password is the usual reason."
            ) from e
        except Unreachable as e:
            if isinstance(e.__cause__, ssl.SSLCertVerificationError):
                raise UserError(f"{e}\n-cacert names a file with certificates to trust.") from e
            raise
    sys.stdout.buffer.flush()
    return 0


def _client(url: str, ca_file: str) -> Client:
    from mox.webapi.client import Client

    tls = None
    if ca_file:
        try:
            tls = ssl.create_default_context(cafile=ca_file)
        except ssl.SSLError as e:
            raise UserError(f"{ca_file} has no certificates in PEM form") from e
    return Client(url, tls=tls)


def _upload(path: str) -> Upload:
    from mox.webapi.upload import Upload

    return Upload(Path(path))


def _stdin() -> bytes:
    request = sys.stdin.buffer.read(_MAX_REQUEST + 1)
    if len(request) > _MAX_REQUEST:
        raise UserError("the request is too large; upload files with -attachedfile")
    return request


def _configure(parser: argparse.ArgumentParser) -> None:
    for field in ("alternativefile", "inlinefile", "attachedfile"):
        parser.add_argument(
            f"-{field}", action="append", default=[], metavar="file", help="upload it with Send"
        )
    parser.add_argument(
        "-idempotencykey", default="", metavar="key", help="Send once for each key, within a day"
    )
    parser.add_argument(
        "-cacert", default="", metavar="file", help="certificates to trust, in PEM form"
    )
    parser.add_argument(
        "words", nargs="*", metavar="method|url|request", help="the method comes first"
    )


def _example(args: argparse.Namespace) -> int:
    from mox.webapi.examples import hook_json
    from mox.webapi.hookexamples import HOOK_EXAMPLES

    if not args.name:
        print("\n".join(HOOK_EXAMPLES))
    elif args.name in HOOK_EXAMPLES:
        print(hook_json(args.name))
    else:
        raise UserError(f"no example {args.name!r}; they are: {', '.join(HOOK_EXAMPLES)}")
    return 0


def _configure_example(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", default="", help="of an example")


COMMANDS = [
    Command(
        ("webapi",),
        "Call a method of a webapi, with its URL and a request in JSON, and print the answer. "
        "Without a request, or with - for it, it is read from standard input. Without a URL the "
        f"one in the environment variable {_URL_VARIABLE} counts; credentials are in it, as in "
        "https://user%40example.org:password@mail.example.org/webapi/. With a method only, print "
        "what it takes and gives; without a method, list them.",
        _configure,
        _run,
    ),
    Command(
        ("example",),
        "Print an example of what webhooks are called with, in JSON; without a name the names.",
        _configure_example,
        _example,
    ),
]
