"""Media types from how octets begin."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.message.sniff import sniff


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (b"", "text/plain; charset=utf-8"),
        (b"hello", "text/plain; charset=utf-8"),
        ("héllo".encode(), "text/plain; charset=utf-8"),
        (b"\0\1\2", "application/octet-stream"),
        (b" \n<!doctype html>", "text/html; charset=utf-8"),
        (b"<html>", "text/html; charset=utf-8"),
        (b"<htmlx>", "text/plain; charset=utf-8"),
        (b"<b>x</b>", "text/html; charset=utf-8"),
        (b"<?xml version", "text/xml; charset=utf-8"),
        (b"%PDF-1.7", "application/pdf"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
        (b"RIFF\x10\0\0\0WAVE", "audio/wave"),
        (b"\x00\x00\x00\x14ftypmp42\0\0\0\0mp42", "video/mp4"),
        (b"\x00\x00\x00\x14ftypqt  \0\0\0\0qt  ", "application/octet-stream"),
        (b"PK\x03\x04", "application/zip"),
        (b"\x1f\x8b\x08", "application/x-gzip"),
        (b"\xfe\xff\0a", "text/plain; charset=utf-16be"),
        (b"a" * 512 + b"\0", "text/plain; charset=utf-8"),
    ],
)
def test_types_are_recognised_by_how_they_begin(head: bytes, media_type: str) -> None:
    assert sniff(head) == media_type


@given(st.binary(max_size=600))
def test_any_octets_have_a_type(head: bytes) -> None:
    assert "/" in sniff(head)
