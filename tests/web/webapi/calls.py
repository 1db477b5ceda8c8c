"""Calls of a running server's webapi, as any HTTP client makes them."""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode

from tests.support.server import PASSWORD, USER, Server, eventually

FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of an error."""
        assert self.status == 400, self.body
        code: str = self.json["Code"]
        return code


@dataclass(frozen=True)
class Upload:
    field: str
    content: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    filename: str = "file"


@dataclass(frozen=True)
class Webapi:
    """The webapi at a port of this host."""

    port: int
    user: str = USER
    password: str = PASSWORD

    def http(
        self, verb: str, path: str, body: bytes | None = None, headers: Mapping[str, str] = {}
    ) -> Answer:
        """Make a request without credentials."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(verb, path, body, dict(headers))
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def post(
        self, method: str, body: bytes, content_type: str = FORM, headers: Mapping[str, str] = {}
    ) -> Answer:
        """Call a method with any body."""
        pair = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        own = {"Authorization": f"Basic {pair}", "Content-Type": content_type}
        return self.http("POST", f"/webapi/v0/{method}", body, {**own, **headers})

    def call(self, method: str, request: object = None, **headers: str) -> Answer:
        """Call a method; underscores in the names of headers stand for dashes."""
        body = urlencode({"request": json.dumps(request or {})}).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.post(method, body, headers=named)

    def ok(self, method: str, request: object = None, **headers: str) -> Any:
        """Call a method that succeeds; returns its JSON."""
        answer = self.call(method, request, **headers)
        assert answer.status == 200, answer.body
        return answer.json

    def metrics(self) -> str:
        """All that the server counts."""
        return self.http("GET", "/metrics").body.decode()

    def upload(
        self, request: object, uploads: Sequence[Upload], headers: Mapping[str, str] = {}
    ) -> Answer:
        """Call Send with a multipart form."""
        body, content_type = multipart(request, uploads)
        return self.post("Send", body, content_type, headers)


def webapi_of(server: Server, user: str = USER) -> Webapi:
    """Wait until a server that was started takes calls."""

    def is_up() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", server.http), 1):
            return True
        return False

    eventually(is_up)
    return Webapi(server.http, user)


def multipart(request: object, uploads: Sequence[Upload]) -> tuple[bytes, str]:
    """Return the body of a form with files, and its Content-Type."""
    boundary = secrets.token_hex(12)
    pieces = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="request"\r\n\r\n'.encode(),
        json.dumps(request).encode(),
    ]
    for upload in uploads:
        lines = [
            f"\r\n--{boundary}",
            f'Content-Disposition: form-data; name="{upload.field}"; filename="{upload.filename}"',
            *(f"{name}: {value}" for name, value in upload.headers.items()),
        ]
        pieces += ["\r\n".join([*lines, "", ""]).encode(), upload.content]
    pieces.append(f"\r\n--{boundary}--\r\n".encode())
    return b"".join(pieces), f"multipart/form-data; boundary={boundary}"
