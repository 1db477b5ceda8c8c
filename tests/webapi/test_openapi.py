"""The description for tools: valid, complete, and true of the examples."""

from __future__ import annotations

import jsonschema_rs
import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from mox.webapi import examples, openapi
from mox.webapi.decoding import RequestError, decode_request
from mox.webapi.methods import METHODS

DOCUMENT = msgspec.json.decode(openapi.document("/webapi/"))


def validator(name: str) -> jsonschema_rs.Validator:
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    return jsonschema_rs.validator_for(schema)


def test_it_is_valid() -> None:
    assert [*OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []


def test_it_has_every_method() -> None:
    assert DOCUMENT["paths"].keys() == {f"/{name}" for name in METHODS}
    for name, method in METHODS.items():
        operation = DOCUMENT["paths"][f"/{name}"]["post"]
        assert operation["operationId"] == name
        [_, codes] = operation["responses"]["400"]["content"]["application/json"]["schema"]["allOf"]
        assert codes["properties"]["Code"]["enum"] == [*method.error_codes]
    assert DOCUMENT["webhooks"].keys() == {"outgoing", "incoming"}


def test_it_says_where_the_server_is() -> None:
    assert DOCUMENT["servers"] == [{"url": "/webapi/v0"}]


@pytest.mark.parametrize("name", METHODS)
def test_the_examples_are_what_it_describes(name: str) -> None:
    example, method = examples.EXAMPLES[name], METHODS[name]
    validator(method.request.__name__).validate(examples.brief(example.request))
    full = msgspec.to_builtins(example.request)
    validator(method.request.__name__).validate(full)
    if method.response is not None:
        validator(method.response.__name__).validate(msgspec.to_builtins(example.response))


def test_webhooks_have_examples_that_are_what_it_describes() -> None:
    shown = 0
    for name, kind in (("outgoing", "Outgoing"), ("incoming", "Incoming")):
        body = DOCUMENT["webhooks"][name]["post"]["requestBody"]["content"]["application/json"]
        for example in body["examples"].values():
            validator(kind).validate(example["value"])
            shown += 1
    assert shown == 3


@pytest.mark.parametrize(
    ("name", "value", "valid"),
    [
        ("SendRequest", {}, True),
        ("SendRequest", {"To": None, "Headers": None, "Date": None, "Extra": {"a": None}}, True),
        ("SendRequest", {"To": [None, {"Name": None}], "Headers": [[], ["a"], None]}, True),
        ("SendRequest", {"To": "a@b.example"}, False),
        ("SendRequest", {"To": ["a@b.example"]}, False),
        ("SendRequest", {"Foo": 1}, False),
        ("SendRequest", {"To": [{"Foo": 1}]}, False),
        ("SendRequest", {"Extra": {"a": 1}}, False),
        ("MessageGetRequest", {"MsgID": 1 << 63}, False),
        ("MessageGetRequest", {"MsgID": "1"}, False),
        ("SendResult", {"MessageID": "<a@b>"}, False),
        ("SendResult", {"MessageID": "<a@b>", "Submissions": [], "New": 1}, True),
        ("Message", {"Subject": "not all"}, False),
        ("Suppression", {}, False),
    ],
)
def test_what_it_takes(name: str, value: object, valid: bool) -> None:
    assert validator(name).is_valid(value) == valid


@pytest.mark.parametrize("name", METHODS)
def test_what_it_refuses_the_server_refuses(name: str) -> None:
    """And takes what it takes: for odd requests of each type."""
    check = validator(METHODS[name].request.__name__)
    values: list[object] = [
        None,
        0,
        "",
        True,
        [],
        {},
        [None],
        [""],
        [{}],
        {"a": ""},
        {"a": 0},
        [[]],
    ]
    values += [1.5, -1, 1 << 64, "2026-11-23T12:55:40Z", "yesterday", {"Name": "x", "Y": 1}, [[1]]]
    for field in msgspec.structs.fields(METHODS[name].request):
        for value in values:
            request = {field.encode_name: value}
            try:
                decode_request(msgspec.json.encode(request), METHODS[name].request)
                taken = True
            except RequestError:
                taken = False
            # A time may be without the T, and formats are not looked at.
            if taken != check.is_valid(request):
                assert (field.encode_name, value) in _FORMATS, request


_FORMATS = {(name, value) for name in ("Date", "FutureRelease") for value in ("", "yesterday")}
