"""The fields of requests, responses and webhooks in words, for documentation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from msgspec import Struct, inspect


@dataclass(frozen=True, slots=True)
class Field:
    """`kind` is in words, such as "list of NameAddress"."""

    name: str
    kind: str
    description: str


@dataclass(frozen=True, slots=True)
class Table:
    """An object of JSON."""

    name: str
    description: str
    fields: tuple[Field, ...]


def tables(struct: type[Struct]) -> list[Table]:
    """Return the fields of an object, and then of the objects in it, each once."""
    found: dict[str, Table] = {}
    waiting = [_shape(struct)]
    while waiting:
        shape = waiting.pop(0)
        name = shape.cls.__name__
        if name not in found:
            found[name] = Table(name, _doc(shape.cls), tuple(_fields(shape)))
            waiting += [inner for field in shape.fields for inner in _inside(field.type)]
    return list(found.values())


def _shape(struct: type[Struct]) -> inspect.StructType:
    shape = inspect.type_info(struct)
    assert isinstance(shape, inspect.StructType)
    return shape


def _doc(cls: type) -> str:
    return " ".join((cls.__doc__ or "").split())


def _fields(shape: inspect.StructType) -> Iterator[Field]:
    for field in shape.fields:
        yield Field(field.encode_name, kind(field.type), _description(field.type))


def _description(shape: inspect.Type) -> str:
    """The text of the outermost annotation."""
    if not isinstance(shape, inspect.Metadata):
        return ""
    described = (shape.extra_json_schema or {}).get("description")
    return described if isinstance(described, str) else _description(shape.type)


def kind(shape: inspect.Type) -> str:
    """Return the form of a value in words."""
    match shape:
        case inspect.Metadata():
            return kind(shape.type)
        case inspect.UnionType():
            return " or ".join([kind(each) for each in shape.types])
        case inspect.VarTupleType():
            return f"list of {kind(shape.item_type)}"
        case inspect.TupleType():
            return f"[{', '.join([kind(each) for each in shape.item_types])}]"
        case inspect.DictType():
            return f"object of {kind(shape.value_type)}"
        case inspect.StructType():
            return shape.cls.__name__
        case inspect.BoolType():
            return "boolean"
        case inspect.IntType():
            return "integer"
        case inspect.NoneType():
            return "null"
        case inspect.DateTimeType():
            return "time (RFC 3339)"
        case _:
            return "string"


def _inside(shape: inspect.Type) -> Iterator[inspect.StructType]:
    """The objects in a value."""
    match shape:
        case inspect.StructType():
            yield shape
        case inspect.Metadata():
            yield from _inside(shape.type)
        case inspect.UnionType():
            for each in shape.types:
                yield from _inside(each)
        case inspect.VarTupleType():
            yield from _inside(shape.item_type)
        case _:
            return
