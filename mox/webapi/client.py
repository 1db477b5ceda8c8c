"""A client for the webapi: a method for each of its methods, with the same types.

    >>> from pathlib import Path
    >>> from mox.webapi.client import Client, Refused, Upload
    >>> from mox.webapi.types import ErrorCode, NameAddress, SendRequest
    >>> def order_shipped(client: Client, order: str, customer: str) -> bool:
    ...     message = SendRequest(
    ...         to=(NameAddress(address=customer),),
    ...         subject="Your order is on its way",
    ...         text="The invoice is attached.",
    ...         extra={"order": order},
    ...     )
    ...     try:
    ...         client.send(
    ...             message,
    ...             attached=[Upload(Path(f"invoices/{order}.pdf"))],
    ...             idempotency_key=f"shipped-{order}",
    ...         )
    ...     except Refused as e:
    ...         if e.code != ErrorCode.BAD_ADDRESS:
    ...             raise
    ...         return False
    ...     return True

    with Client("https://mail.example.org/webapi/", "shop@example.org", password) as client:
        order_shipped(client, "42", "customer@example.net")

It needs nothing but mox.webapi, msgspec and the standard library, and may be used by several
threads. Calls raise the exceptions of mox.webapi.failures. mox.webapi.receiver is for webhooks.
"""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import BinaryIO, Final, Self, TypeVar

import msgspec

from mox import __version__
from mox.webapi import types
from mox.webapi.endpoint import Endpoint, parse_endpoint
from mox.webapi.exchange import Answer, Exchanges, Request
from mox.webapi.failures import (
    Busy,
    Refused,
    TooManyAttempts,
    Unauthorized,
    UnexpectedAnswer,
    Unreachable,
    WebapiError,
)
from mox.webapi.upload import Body, Upload, form_of

__all__ = [
    "Busy",
    "Client",
    "Refused",
    "TooManyAttempts",
    "Unauthorized",
    "UnexpectedAnswer",
    "Unreachable",
    "Upload",
    "WebapiError",
]

_MAX_ANSWER: Final = 256 * 1024 * 1024
_MAX_ERROR: Final = 1024 * 1024
_USUAL_WAIT_S: Final = 5
# What can be done twice without harm, and with the same answer.
_REPEATABLE: Final = {
    "SuppressionList",
    "SuppressionPresent",
    "MessageGet",
    "MessageRawGet",
    "MessagePartGet",
    "MessageFlagsAdd",
    "MessageFlagsRemove",
}

_Result = TypeVar("_Result")


class Client:
    """Calls the webapi at a URL, as an account.

    The URL is that of the service, such as `https://mail.example.org/webapi/`; it may hold the
    credentials. `username` is an address of the account. `timeout_s` is for connecting and for
    each time that nothing comes. `tls` is for servers whose certificate the system does not trust:
    `ssl.create_default_context(cafile=...)`.

    When a connection is lost, calls are made again that do no harm twice, up to `retries` times.
    Send is one of them, because each call has an Idempotency-Key. Servers that do not know this
    header, such as mox in Go, would send twice: use `retries=0` with them.

    Raises UserError for a URL that cannot be used.
    """

    def __init__(
        self,
        url: str,
        username: str = "",
        password: str = "",
        *,
        timeout_s: float = 60.0,
        tls: ssl.SSLContext | None = None,
        retries: int = 2,
    ) -> None:
        self.endpoint: Final[Endpoint] = parse_endpoint(url, username, password)
        self._exchanges = Exchanges(self.endpoint, timeout_s=timeout_s, tls=tls, retries=retries)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that are kept. The client can still be used."""
        self._exchanges.close()

    # ---- sending

    def send(
        self,
        message: types.SendRequest,
        *,
        alternative: Sequence[Upload] = (),
        inline: Sequence[Upload] = (),
        attached: Sequence[Upload] = (),
        idempotency_key: str = "",
    ) -> types.SendResult:
        """Send a message, with files that are uploaded besides those in it.

        A program that may have to repeat a call, after Unreachable or after it was restarted, gives
        a key of its own for the message, of up to 255 characters: the server sends it once.

        Raises OSError for a file that cannot be read.
        """
        files = {"alternativefile": alternative, "inlinefile": inline, "attachedfile": attached}
        request = msgspec.json.encode(message)
        body = form_of(request, files)
        with self._call("Send", body, idempotency_key or secrets.token_urlsafe(16)) as answer:
            return _decoded(answer, types.SendResult)

    # ---- suppression list

    def suppression_list(self) -> tuple[types.Suppression, ...]:
        """Return what the account does not send to."""
        request = types.SuppressionListRequest()
        return self._simple("SuppressionList", request, types.SuppressionListResult).suppressions

    def suppression_add(self, address: str, *, manual: bool = True, reason: str = "") -> None:
        """Let the account not send to an address. Refused, as `error`, when it is on the list."""
        request = types.SuppressionAddRequest(email_address=address, manual=manual, reason=reason)
        self._simple("SuppressionAdd", request, types.Empty)

    def suppression_remove(self, address: str) -> None:
        """Let the account send to an address again. Refused, as `error`, when it is not listed."""
        request = types.SuppressionRemoveRequest(email_address=address)
        self._simple("SuppressionRemove", request, types.Empty)

    def suppression_present(self, address: str) -> bool:
        """Return whether the account does not send to an address."""
        request = types.SuppressionPresentRequest(email_address=address)
        return self._simple("SuppressionPresent", request, types.SuppressionPresentResult).present

    # ---- messages

    def message_get(self, msg_id: int) -> types.MessageGetResult:
        """Return a message, decoded. `msg_id` is from an incoming webhook, or from Send."""
        request = types.MessageGetRequest(msg_id=msg_id)
        return self._simple("MessageGet", request, types.MessageGetResult)

    def message_raw_get(self, msg_id: int, into: BinaryIO) -> int:
        """Write a message as it is into a file; returns its octets."""
        request = types.MessageRawGetRequest(msg_id=msg_id)
        return self._save("MessageRawGet", request, into)

    def message_part_get(self, msg_id: int, part_path: Sequence[int], into: BinaryIO) -> int:
        """Write the decoded content of a part, such as an attachment, into a file.

        `part_path` has the indices into `Structure.parts`, from the outside in. Returns the octets.
        """
        request = types.MessagePartGetRequest(msg_id=msg_id, part_path=tuple(part_path))
        return self._save("MessagePartGet", request, into)

    def message_delete(self, msg_id: int) -> None:
        """Remove a message for good."""
        self._simple("MessageDelete", types.MessageDeleteRequest(msg_id=msg_id), types.Empty)

    def message_flags_add(self, msg_id: int, flags: Sequence[str]) -> None:
        """Set flags, such as `\\Seen` or keywords."""
        request = types.MessageFlagsAddRequest(msg_id=msg_id, flags=tuple(flags))
        self._simple("MessageFlagsAdd", request, types.Empty)

    def message_flags_remove(self, msg_id: int, flags: Sequence[str]) -> None:
        """Clear flags."""
        request = types.MessageFlagsRemoveRequest(msg_id=msg_id, flags=tuple(flags))
        self._simple("MessageFlagsRemove", request, types.Empty)

    def message_move(self, msg_id: int, mailbox: str) -> None:
        """Move a message to another mailbox; its id stays."""
        request = types.MessageMoveRequest(msg_id=msg_id, dest_mailbox_name=mailbox)
        self._simple("MessageMove", request, types.Empty)

    # ---- any method

    def call_json(
        self,
        method: str,
        request: bytes,
        write: Callable[[bytes], object],
        *,
        files: Mapping[str, Sequence[Upload]] | None = None,
        idempotency_key: str = "",
    ) -> str:
        """Call a method by name with JSON, and write its answer in pieces as it is.

        `files` are by the names of the form's fields: `attachedfile`. Returns the answer's
        Content-Type.
        """
        with self._call(method, form_of(request, files), idempotency_key) as answer:
            for piece in answer.pieces():
                write(piece)
            return answer.header("Content-Type")

    def _simple(self, method: str, request: msgspec.Struct, kind: type[_Result]) -> _Result:
        with self._call(method, form_of(msgspec.json.encode(request))) as answer:
            return _decoded(answer, kind)

    def _save(self, method: str, request: msgspec.Struct, into: BinaryIO) -> int:
        octets = 0
        with self._call(method, form_of(msgspec.json.encode(request))) as answer:
            for piece in answer.pieces():
                into.write(piece)
                octets += len(piece)
        return octets

    @contextmanager
    def _call(self, method: str, body: Body, key: str = "") -> Iterator[Answer]:
        headers = {"User-Agent": f"mox-webapi/{__version__}"}
        if key:
            headers[types.IDEMPOTENCY_HEADER] = key
        request = Request(method, body, headers, bool(key) or method in _REPEATABLE)
        with self._exchanges.exchange(request) as answer:
            if answer.status == 200:
                yield answer
                return
            failure = _failure(answer)
        raise failure


def _decoded(answer: Answer, kind: type[_Result]) -> _Result:
    content = _content(answer, _MAX_ANSWER)
    if len(content) > _MAX_ANSWER:
        raise UnexpectedAnswer("the answer is larger than any webapi's", answer.status)
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.MsgspecError as e:
        text = f"the answer is not what the method returns: {e}"
        raise UnexpectedAnswer(text, answer.status) from e


def _content(answer: Answer, limit: int) -> bytes:
    """All of it, or more than `limit`."""
    content = b""
    while len(content) <= limit and (piece := answer.read(limit + 1)):
        content += piece
    return content


def _failure(answer: Answer) -> WebapiError:
    content = _content(answer, _MAX_ERROR)
    text = content.decode("utf-8", "replace").strip()[:500]
    match answer.status:
        case 400:
            try:
                error = msgspec.json.decode(content, type=types.Error)
            except msgspec.MsgspecError:
                return UnexpectedAnswer(f"status 400 without an error: {text}", 400)
            return Refused(error.code, error.message)
        case 401:
            return Unauthorized(text)
        case 429:
            return TooManyAttempts(text)
        case 503:
            seconds = answer.header("Retry-After")
            # RFC 9110 §10.2.3: it may be a date, too; ours never is.
            wait = int(seconds) if seconds.isdecimal() and len(seconds) < 10 else _USUAL_WAIT_S
            return Busy(text, wait)
        case status if 300 <= status < 400:
            where = answer.header("Location") or "elsewhere"
            return UnexpectedAnswer(f"the server points to {where}; use that URL", status)
        case status:
            return UnexpectedAnswer(f"status {status}, so is this a webapi? {text}", status)
