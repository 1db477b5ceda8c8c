"""Coverage-guided fuzzing of webapi requests: python -m tests.fuzz.webapi -max_total_time=600

The first octet chooses: JSON of a method, or a form, with the size of the pieces in which it comes.
Needs atheris, which `make fuzz` installs where there is a wheel of it. The short form, for any
Python, are the property tests in tests/webapi/test_decoding.py and tests/web/webapi/test_forms.py.
"""

from __future__ import annotations

import sys
import tempfile
from io import BytesIO
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["mox.webapi", "mox.web.webapi", "multipart"]):
    from mox.web.webapi.errors import CallError
    from mox.web.webapi.forms import read_request
    from mox.web.webapi.uploads import Uploads
    from mox.webapi.decoding import RequestError, decode_request
    from mox.webapi.methods import METHODS

from mox.store import Store, open_store

_METHODS = [METHODS[name].request for name in sorted(METHODS)]
_FORMS = (
    "multipart/form-data; boundary=b",
    "application/x-www-form-urlencoded",
    "application/json",
)
# Small, so that files begin and end within an input of a few KB, and limits are met.
_MAX_FILE_OCTETS = 1000


class _Slow(BytesIO):
    """Gives at most so many octets at a time."""

    most = 1 << 16

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(self.most if size is None or size < 0 else min(size, self.most))


def read(store: Store, data: bytes) -> None:
    """Anything but the errors that callers are told of ends the run, and leaves the input."""
    choice, body = data[0] if data else 0, data[1:]
    if choice & 1:
        _decode(choice >> 1, body)
        return
    stream = _Slow(body)
    stream.most = (choice >> 3) + 1 if choice & 6 != 4 else 1 << 16
    form = _FORMS[(choice >> 1 & 3) % len(_FORMS)]
    environ = {"CONTENT_TYPE": form, "wsgi.input": stream}
    uploads = Uploads(store)
    try:
        request = read_request(environ, uploads, max_file_octets=_MAX_FILE_OCTETS)
        for upload in uploads.found:
            assert not isinstance(upload.file.content, bytes)
            assert sum(map(len, upload.file.content())) <= _MAX_FILE_OCTETS
    except CallError as e:
        assert e.code == "protocol", e.code
        return
    finally:
        uploads.close()
    _decode(choice >> 3, request)


def _decode(number: int, raw: bytes) -> None:
    type_ = _METHODS[number % len(_METHODS)]
    try:
        assert isinstance(decode_request(raw, type_), type_)
    except RequestError as e:
        assert str(e)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        opened = open_store(Path(directory))
        atheris.Setup(sys.argv, lambda data: read(opened, data))
        atheris.Fuzz()
