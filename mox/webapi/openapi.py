"""The webapi as an OpenAPI document, made from the types that the server decodes with.

OpenAPI 3.1.1. Requests are described with all that is accepted: null stands for the zero value
everywhere. Names are matched in any case besides; that a schema cannot say.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from mox.webapi import hooks, types
from mox.webapi.examples import EXAMPLES, Json, brief
from mox.webapi.hookexamples import HOOK_EXAMPLES
from mox.webapi.methods import FILE_FIELDS, METHODS, VERSION, Method
from mox.webapi.types import ERROR_MEANINGS, MAX_IDEMPOTENCY_KEY

Object = dict[str, Json]

_REFERENCE: Final = "#/components/schemas/"
_JSON: Final = "application/json"
_TEXT: Final = "text/plain"
_HTML: Final = "text/html"
_URLENCODED: Final = "application/x-www-form-urlencoded"
_MULTIPART: Final = "multipart/form-data"

_TAGS: Final = ("Sending", "Suppression list", "Messages", "Documentation")
_INTRODUCTION: Final = (
    "Send mail, read what was received, and manage addresses that are not to be sent to.\n\n"
    "Calls are POST requests with the address and the password of an account in HTTP basic "
    "authentication. The request is JSON: in the field `request` of a form, or as the body. "
    "Names in it match in any case, null stands for the zero value, and unknown fields are "
    "refused. Errors have status 400 and tell a code for programs and a message for people; "
    "a mistake in the login has status 401, too many of them, or of requests, 429. Responses may "
    "have more fields in later versions.\n\n"
    "Webhooks are called with POST for what happens later: what becomes of sent messages, and "
    "messages that are received. Any other answer than status 200 is a failure, and the call is "
    "made again."
)


def document(path: str) -> bytes:
    """Return the description in JSON of a webapi at a path of its host, such as `/webapi/`."""
    return msgspec.json.encode(_document(path))


def _document(path: str) -> Object:
    return {
        "openapi": "3.1.1",
        "info": {"title": "mox webapi", "version": VERSION, "description": _INTRODUCTION},
        "servers": [{"url": f"{path}{VERSION}"}],
        "security": [{"basic": []}],
        "tags": [{"name": name} for name in _TAGS],
        "paths": {
            f"/{method.name}": {"get": _page(method), "post": _operation(method)}
            for method in METHODS.values()
        },
        "webhooks": {
            "outgoing": {"post": _hook("What became of a sent message.", hooks.Outgoing)},
            "incoming": {"post": _hook("A message was received.", hooks.Incoming)},
        },
        "components": {
            "schemas": _schemas(),
            "responses": {
                "Unauthorized": _text("The address or the password is wrong, or no login may be."),
                "Forbidden": _text("A browser was told to call by a page of another site."),
                "TooMany": _text("Too many failed logins, or requests, from this network."),
                "Busy": _text("Not now, but after as many seconds as Retry-After says."),
            },
            "securitySchemes": {
                "basic": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "An address of the account, and its password.",
                }
            },
        },
    }


# ---- calls


def _operation(method: Method) -> Object:
    operation: Object = {
        "operationId": method.name,
        "summary": method.summary,
        "description": method.description,
        "tags": [_tag(method.name)],
        "requestBody": {"required": True, "content": _request_content(method)},
        "responses": {
            "200": _success(method),
            "400": {
                "description": "The call did not work. Codes: "
                + "; ".join(f"`{code}`: {ERROR_MEANINGS[code]}" for code in method.error_codes),
                "content": {
                    _JSON: {
                        "schema": {
                            "allOf": [
                                {"$ref": f"{_REFERENCE}Error"},
                                {"properties": {"Code": {"enum": [*method.error_codes]}}},
                            ]
                        }
                    }
                },
            },
            "401": {"$ref": "#/components/responses/Unauthorized"},
            "403": {"$ref": "#/components/responses/Forbidden"},
            "429": {"$ref": "#/components/responses/TooMany"},
            "503": {"$ref": "#/components/responses/Busy"},
        },
    }
    if method.name == "Send":
        operation["parameters"] = [_idempotency_key()]
    return operation


def _page(method: Method) -> Object:
    return {
        "operationId": f"{method.name}Page",
        "summary": f"Documentation of {method.name} for people, and a form that calls it.",
        "tags": ["Documentation"],
        "security": [],
        "responses": {
            "200": {"description": "A page.", "content": {_HTML: {"schema": {"type": "string"}}}},
            "429": {"$ref": "#/components/responses/TooMany"},
        },
    }


def _tag(name: str) -> str:
    if name == "Send":
        return "Sending"
    return "Suppression list" if name.startswith("Suppression") else "Messages"


def _request_content(method: Method) -> Object:
    schema: Object = {
        "anyOf": [{"$ref": f"{_REFERENCE}{method.request.__name__}"}, {"type": "null"}]
    }
    field: Object = {
        "type": "string",
        "contentMediaType": _JSON,
        "contentSchema": schema,
        "description": f"JSON of {method.request.__name__}.",
    }
    form: Object = {"type": "object", "properties": {"request": field}, "required": ["request"]}
    example = brief(EXAMPLES[method.name].request)
    in_form: Object = {"request": msgspec.json.encode(example).decode()}
    return {
        _JSON: {"schema": schema, "example": example},
        _URLENCODED: {"schema": form, "example": in_form},
        _MULTIPART: {"schema": _with_files(form) if method.name == "Send" else form},
    }


def _with_files(form: Object) -> Object:
    properties = form["properties"]
    assert isinstance(properties, dict)
    files: Object = {
        name: {
            "type": "array",
            "items": {"type": "string", "contentMediaType": "application/octet-stream"},
            "description": "Files, with Content-Type and Content-ID of their parts.",
        }
        for name in FILE_FIELDS
    }
    return {**form, "properties": {**properties, **files}}


def _success(method: Method) -> Object:
    if method.response is None:
        return {
            "description": "The content.",
            "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}},
        }
    example = msgspec.to_builtins(EXAMPLES[method.name].response)
    schema: Object = {"$ref": f"{_REFERENCE}{method.response.__name__}"}
    return {
        "description": "It worked.",
        "content": {_JSON: {"schema": schema, "example": example}},
    }


def _idempotency_key() -> Object:
    return {
        "name": types.IDEMPOTENCY_HEADER,
        "in": "header",
        "description": (
            "A text of the caller's choice. A call with the same key and request within a day is "
            "given the first answer, and nothing is sent again."
        ),
        "schema": {
            "type": "string",
            "maxLength": MAX_IDEMPOTENCY_KEY,
            "pattern": "^[ -~]*$",
        },
    }


def _text(description: str) -> Object:
    return {"description": description, "content": {_TEXT: {"schema": {"type": "string"}}}}


def _hook(summary: str, payload: type[Struct]) -> Object:
    headers: list[Json] = [
        {"name": hooks.ID_HEADER, "in": "header", "schema": {"type": "integer"}, "required": True},
        {
            "name": hooks.ATTEMPT_HEADER,
            "in": "header",
            "schema": {"type": "integer", "minimum": 1},
            "required": True,
        },
    ]
    return {
        "summary": summary,
        "security": [],
        "parameters": headers,
        "requestBody": {
            "required": True,
            "content": {
                _JSON: {
                    "schema": {"$ref": f"{_REFERENCE}{payload.__name__}"},
                    "examples": {
                        name: {"value": msgspec.to_builtins(example)}
                        for name, example in HOOK_EXAMPLES.items()
                        if isinstance(example, payload)
                    },
                }
            },
        },
        "responses": {"200": {"description": "Taken. The content of the answer does not matter."}},
    }


# ---- types


def _schemas() -> Object:
    requests = [method.request for method in METHODS.values()]
    answers = [method.response for method in METHODS.values() if method.response is not None]
    answers += [types.Error, hooks.Outgoing, hooks.Incoming]
    return {
        **{name: _accepting_null(schema) for name, schema in _components(requests).items()},
        **{name: _all_given(schema) for name, schema in _components(answers).items()},
    }


def _components(structs: list[type[Struct]]) -> dict[str, Object]:
    _, components = msgspec.json.schema_components(structs, ref_template=f"{_REFERENCE}{{name}}")
    # Defaults may be tuples there.
    plain: dict[str, Object] = msgspec.json.decode(msgspec.json.encode(components))
    return {name: _described(schema) for name, schema in plain.items()}


def _described(schema: Object) -> Object:
    return {key: value for key, value in schema.items() if key != "title"}


def _properties(schema: Object) -> dict[str, Object]:
    properties = schema["properties"]
    assert isinstance(properties, dict)
    return {name: each for name, each in properties.items() if isinstance(each, dict)}


def _all_given(schema: Object) -> Object:
    """An answer's: no field is left out, so none has a default."""
    properties = {
        name: {key: value for key, value in each.items() if key != "default"}
        for name, each in _properties(schema).items()
    }
    return {**schema, "properties": {**properties}, "required": [*properties]}


def _accepting_null(schema: Object) -> Object:
    """A request's: null is the zero value at any depth, and pairs may be of any length."""
    match schema:
        case {"type": "object", "properties": dict(properties)}:
            fields = {name: _or_null(each) for name, each in properties.items()}
            return {**schema, "properties": {**fields}}
        case {"type": "object", "additionalProperties": dict(each)}:
            return {**schema, "additionalProperties": _or_null(each)}
        case {"type": "array", "prefixItems": [each, *_]}:
            loose = {key: value for key, value in schema.items() if key in ("type", "description")}
            return {**loose, "items": _or_null(each), "description": "Name and value."}
        case {"type": "array", "items": dict(each)}:
            return {**schema, "items": _or_null(each)}
        case _:
            return schema


def _or_null(schema: Json) -> Json:
    assert isinstance(schema, dict)
    described = {key: value for key, value in schema.items() if key in ("description", "default")}
    accepting = _accepting_null(schema)
    match accepting:
        case {"anyOf": _}:  # those that may be null anyway
            return accepting
        case {"type": str(kind)}:
            return {**accepting, "type": [kind, "null"]}
        case _:
            rest = {key: value for key, value in accepting.items() if key not in described}
            return {"anyOf": [rest, {"type": "null"}], **described}
