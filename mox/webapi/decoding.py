"""A request's JSON as a value, with errors that name the field.

Strict about unknown fields and types; lenient, as the reference is, in that names match in any
case, null means the zero value, of equal names the last counts, and what follows the first JSON
value is ignored. Most requests need none of that and are decoded in one step.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final, TypeVar

import msgspec
from msgspec import Struct, inspect

from mox.errors import UserError

# Most objects and lists in a request, so that many empty ones do not fill the memory.
MAX_CONTAINERS: Final = 100_000
_LONG: Final = 2 * MAX_CONTAINERS

T = TypeVar("T", bound=Struct)
# Values in a request that is lenient about names or null: each of these takes some microseconds.
MAX_LENIENT: Final = 20_000

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


class RequestError(UserError):
    """The request is not the JSON that the method wants. The text says where."""


def decode_request(raw: bytes, type_: type[T]) -> T:
    """Decode a request in UTF-8. Raises RequestError."""
    if len(raw) > _LONG and raw.count(b"{") + raw.count(b"[") > MAX_CONTAINERS:
        raise RequestError("too many objects and lists")
    try:
        value: T = _decoder(type_)(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as e:  # ValidationError is a DecodeError
        return _decode_leniently(raw, type_, str(e))
    return value


@lru_cache(maxsize=64)
def _decoder(type_: type[T]) -> Callable[[bytes], T]:
    return msgspec.json.Decoder(type_).decode


def _decode_leniently(raw: bytes, type_: type[T], problem: str) -> T:
    value = _first_value(raw.decode("utf-8", "replace").lstrip(" \t\r\n"))
    if _has_many(value):
        raise RequestError(problem)
    try:
        return msgspec.convert(_fit(value, _shape(type_), "$"), type_)
    except msgspec.ValidationError as e:
        raise RequestError(str(e)) from e


@lru_cache(maxsize=64)
def _shape(type_: type[Struct]) -> inspect.Type:
    return inspect.type_info(type_)


def _first_value(text: str) -> Json:
    if not text:
        raise RequestError("no JSON value")
    try:
        value: Json = _JSON.raw_decode(text)[0]
    except json.JSONDecodeError as e:
        raise RequestError(f"{e.msg} in line {e.lineno}, column {e.colno}") from e
    except RecursionError as e:
        raise RequestError("nested too deeply") from e
    except ValueError as e:
        raise RequestError(f"bad number: {e}") from e
    return value


def _refuse_constant(name: str) -> Json:
    raise RequestError(f"{name} is not JSON")


_JSON: Final = json.JSONDecoder(parse_constant=_refuse_constant)


def _has_many(value: Json) -> bool:
    """Whether there are more than MAX_LENIENT values, at all depths."""
    left, waiting = MAX_LENIENT, [value]
    while waiting and left >= 0:
        value = waiting.pop()
        if isinstance(value, (dict, list)):
            left -= len(value)
            if left >= 0:
                waiting += value.values() if isinstance(value, dict) else value
    return left < 0


# ---- from what is lenient to what is exact


def _fit(value: Json, shape: inspect.Type, path: str) -> Json:
    """Return the value as `shape` has it; what cannot fit stays, for a message about it."""
    if isinstance(shape, inspect.Metadata):
        return _fit(value, shape.type, path)
    if isinstance(shape, inspect.UnionType):
        if value is None:
            return None
        others = [each for each in shape.types if not isinstance(each, inspect.NoneType)]
        return _fit(value, others[0], path)
    if value is None:
        return _zero(shape)
    if isinstance(value, str):
        return _without_surrogates(value)
    if isinstance(value, dict):
        return _fit_object(value, shape, path)
    if isinstance(value, list):
        return _fit_list(value, shape, path)
    return value


def _zero(shape: inspect.Type) -> Json:
    match shape:
        case inspect.StructType() | inspect.DictType():
            return {}
        case inspect.TupleType():
            return [_fit(None, item, "") for item in shape.item_types]
        case inspect.VarTupleType():
            return []
        case inspect.BoolType():
            return False
        case inspect.IntType():
            return 0
        case _:
            return ""


def _fit_object(value: dict[str, Json], shape: inspect.Type, path: str) -> Json:
    if isinstance(shape, inspect.DictType):
        return {
            _without_surrogates(key): _fit(item, shape.value_type, f"{path}[...]")
            for key, item in value.items()
        }
    if not isinstance(shape, inspect.StructType):
        return value
    fields = _fields(shape.cls)
    found: dict[str, Json] = {}
    for key, item in value.items():
        field = fields.get(key) or fields.get(key.lower())
        if field is None:
            raise RequestError(f"unknown field {json.dumps(key[:100])} - at `{path}`")
        if item is not None or field.required:
            found[field.encode_name] = _fit(item, field.type, f"{path}.{field.encode_name}")
        else:
            found.pop(field.encode_name, None)  # the last one counts
    return dict(found)


@lru_cache(maxsize=64)
def _fields(type_: type[Struct]) -> Mapping[str, inspect.Field]:
    """The fields by their exact names and by those in lower case."""
    shape = _shape(type_)
    assert isinstance(shape, inspect.StructType)
    exact = {field.encode_name: field for field in shape.fields}
    return {name.lower(): field for name, field in exact.items()} | exact


def _fit_list(value: list[Json], shape: inspect.Type, path: str) -> Json:
    if isinstance(shape, inspect.VarTupleType):
        return [_fit(item, shape.item_type, f"{path}[{i}]") for i, item in enumerate(value)]
    if isinstance(shape, inspect.TupleType):
        missing: list[Json] = [None] * (len(shape.item_types) - len(value))
        items = [*value[: len(shape.item_types)], *missing]
        pairs = zip(items, shape.item_types, strict=True)
        return [_fit(item, each, f"{path}[{i}]") for i, (item, each) in enumerate(pairs)]
    return value


def _without_surrogates(text: str) -> str:
    """Replace halves of surrogate pairs: they are no characters and cannot be encoded."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
