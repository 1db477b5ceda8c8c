"""The table of methods."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import Struct, inspect

from mox.webapi.methods import FILE_FIELDS, METHODS
from mox.webapi.naming import json_name
from mox.webapi.types import ERROR_MEANINGS, ErrorCode, Message, SendRequest, Structure

FIELDS = {
    "Send": (
        "From To CC BCC ReplyTo MessageID References Date Subject Text HTML Extra Headers "
        "AlternativeFiles InlineFiles AttachedFiles RequireTLS FutureRelease SaveSent",
        "MessageID Submissions",
    ),
    "SuppressionList": ("", "Suppressions"),
    "SuppressionAdd": ("EmailAddress Manual Reason", ""),
    "SuppressionRemove": ("EmailAddress", ""),
    "SuppressionPresent": ("EmailAddress", "Present"),
    "MessageGet": ("MsgID", "Message Structure Meta"),
    "MessageRawGet": ("MsgID", None),
    "MessagePartGet": ("MsgID PartPath", None),
    "MessageDelete": ("MsgID", ""),
    "MessageFlagsAdd": ("MsgID Flags", ""),
    "MessageFlagsRemove": ("MsgID Flags", ""),
    "MessageMove": ("MsgID DestMailboxName", ""),
}


def names(type_: type[Struct]) -> str:
    return " ".join(field.encode_name for field in msgspec.structs.fields(type_))


def test_methods_are_listed_in_alphabetical_order() -> None:
    assert list(METHODS) == sorted(FIELDS)


@pytest.mark.parametrize("name", FIELDS)
def test_fields_have_the_names_and_order_of_the_reference(name: str) -> None:
    request, response = FIELDS[name]
    method = METHODS[name]
    assert names(method.request) == request
    assert (None if method.response is None else names(method.response)) == response


def test_shared_types_have_the_fields_of_the_reference() -> None:
    assert names(Message) == ("From To CC BCC ReplyTo MessageID References Date Subject Text HTML")
    assert names(Structure) == (
        "ContentType ContentTypeParams ContentID ContentDisposition Filename DecodedSize Parts"
    )


@pytest.mark.parametrize("name", FIELDS)
def test_unknown_fields_are_refused_in_requests_at_every_level(name: str) -> None:
    info = inspect.type_info(METHODS[name].request)
    for struct in _structs(info):
        assert struct.forbid_unknown_fields, struct.cls


def _structs(info: inspect.Type) -> list[inspect.StructType]:
    match info:
        case inspect.StructType():
            return [info, *(s for field in info.fields for s in _structs(field.type))]
        case inspect.Metadata():
            return _structs(info.type)
        case inspect.VarTupleType():
            return _structs(info.item_type)
    return []


def test_a_program_ignores_response_fields_that_it_does_not_know() -> None:
    raw = b'{"To":[{"Address":"a@b","New":1}],"Newer":[]}'
    assert msgspec.json.decode(raw, type=Message).to[0].address == "a@b"


def test_every_error_code_is_explained_and_every_method_documented() -> None:
    assert set(ERROR_MEANINGS) == set(ErrorCode)
    for method in METHODS.values():
        assert method.summary.endswith(".")
        assert method.description.endswith(".")
        assert method.error_codes[:3] == ("protocol", "user", "server")


def test_upload_fields_belong_to_fields_of_the_request() -> None:
    own = {field.name for field in msgspec.structs.fields(SendRequest)}
    assert set(FILE_FIELDS.values()) <= own


def test_names_in_json() -> None:
    assert json_name("require_tls") == "RequireTLS"
    assert json_name("part_path") == "PartPath"
