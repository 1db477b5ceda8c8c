"""Forms that come in pieces: what is read does not depend on how they are cut."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mox.store import Store, open_store
from mox.web.webapi.errors import CallError
from mox.web.webapi.forms import read_request
from mox.web.webapi.uploads import MEMORY_OCTETS, Uploads
from tests.web.webapi.calls import Upload, multipart

LIMIT = 1 << 20


class Slow(BytesIO):
    """Gives at most so many octets at a time."""

    def __init__(self, data: bytes, most: int) -> None:
        super().__init__(data)
        self._most = most

    def read(self, size: int | None = -1, /) -> bytes:
        most = self._most if size is None or size < 0 else min(size, self._most)
        return super().read(most)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path)
    yield opened
    opened.close()


def read(store: Store, body: bytes, content_type: str, most: int = 1 << 16) -> tuple[bytes, Any]:
    """The request, and (field, name, type, id, content) of each file."""
    environ = {"CONTENT_TYPE": content_type, "wsgi.input": Slow(body, most)}
    uploads = Uploads(store)
    try:
        request = read_request(environ, uploads, max_file_octets=LIMIT)
        files = []
        for found in uploads.found:
            assert not isinstance(found.file.content, bytes)
            content = b"".join(found.file.content())
            assert content == b"".join(found.file.content())
            file = found.file
            files.append((found.field, file.name, file.content_type, file.content_id, content))
        return request, files
    finally:
        uploads.close()


@pytest.mark.parametrize("most", [1, 7, 1 << 16])
def test_files_are_taken_with_what_their_headers_say(store: Store, most: int) -> None:
    uploads = [
        Upload("attachedfile", b"a\r\n--b", {"Content-Type": "text/plain; charset=utf-8"}, "ä.txt"),
        Upload("inlinefile", b"", {"content-id": "<x>"}, "/home/me/hi.png"),
        Upload("alternativefile", b"\r\n", {}, "c.ics"),
        Upload("unknown", b"ignored"),
    ]
    request, files = read(store, *multipart({"Text": "x"}, uploads), most)
    assert json.loads(request) == {"Text": "x"}
    assert files == [
        ("attached_files", "ä.txt", "text/plain; charset=utf-8", "", b"a\r\n--b"),
        ("inline_files", "hi.png", "", "<x>", b""),
        ("alternative_files", "c.ics", "", "", b"\r\n"),
    ]


def test_files_beyond_memory_are_on_disk(store: Store) -> None:
    contents = [bytes([i]) * (MEMORY_OCTETS // 2) for i in range(5)]
    uploads = [Upload("attachedfile", content) for content in contents]
    _, files = read(store, *multipart({}, uploads))
    assert [content for *_, content in files] == contents
    assert not any((store.data_dir / "tmp").iterdir())


def test_files_over_the_limit_are_refused_before_all_has_come(store: Store) -> None:
    body, content_type = multipart({}, [Upload("attachedfile", bytes(LIMIT + 1))])
    with pytest.raises(CallError) as caught:
        read(store, body, content_type)
    assert caught.value.code == "messageTooLarge"


def test_too_many_parts_are_refused(store: Store) -> None:
    body, content_type = multipart({}, [Upload("attachedfile", b"")] * 1001)
    with pytest.raises(CallError) as caught:
        read(store, body, content_type)
    assert caught.value.code == "protocol"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=100), max_size=3), st.integers(1, 60))
def test_any_content_comes_through_in_any_pieces(
    store: Store, contents: list[bytes], most: int
) -> None:
    uploads = [Upload("attachedfile", content) for content in contents]
    _, files = read(store, *multipart({}, uploads), most)
    assert [content for *_, content in files] == contents


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.sampled_from(
            [b"--b", b"--b--", b"\r\n", b"Content-Disposition: form-data; name=request", b"{}",
             b'Content-Disposition: form-data; name="attachedfile"; filename="x"', b": ", b"\xff",
             b"Content-Length: 3"]
        ),
        max_size=14,
    ).map(b"".join)
)  # fmt: skip
def test_any_octets_are_a_form_or_an_error(store: Store, body: bytes) -> None:
    try:
        read(store, body, "multipart/form-data; boundary=b")
    except CallError as e:
        assert e.code == "protocol"
