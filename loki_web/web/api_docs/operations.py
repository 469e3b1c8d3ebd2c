"""Convert the OpenAPI and AsyncAPI documents for `/docs`: operations by tag, types in words."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from loki_web.store.coerce import Json

_REF = "#/components/"
_VARIABLE = re.compile(r"\{(\w+)\}")
_EXAMPLES: Json = {"integer": 1, "number": 1.5, "boolean": True, "null": None}
_MAX_DEPTH = 4


@dataclass(frozen=True)
class Named:
    """A parameter, or a field of a body."""

    name: str
    type: str
    about: str
    required: bool


@dataclass(frozen=True)
class Body:
    """The body of a request or of a response."""

    status: str
    about: str
    fields: list[Named]
    example: Any


@dataclass(frozen=True)
class Operation:
    """A method of a path in the OpenAPI document, as `/docs` shows it.

    :param curl: a command that makes the request; `$URL` is the address of the server.
    """

    id: str
    method: str
    path: str
    summary: str
    description: str
    parameters: list[Named]
    request: Body | None
    answers: list[Body]
    curl: str


@dataclass(frozen=True)
class Message:
    """A message of the live feed.

    :param direction: who sends it, and where.
    """

    name: str
    direction: str
    about: str
    fields: list[Named]
    example: Any


@dataclass(frozen=True)
class Group:
    """The operations of one resource."""

    name: str
    about: str
    operations: list[Operation]


def groups(document: Json) -> list[Group]:
    """Return the operations of an OpenAPI document by tag, in the order of the document."""
    tagged = list(_operations(document))
    return [
        Group(
            tag["name"],
            tag.get("description", ""),
            [o for name, o in tagged if name == tag["name"]],
        )
        for tag in document["tags"]
    ]


def messages(document: Json) -> list[Message]:
    """Return the messages of an AsyncAPI document, in its order."""
    by_client = {
        each["$ref"].rsplit("/", 1)[1] for each in document["operations"]["hear"]["messages"]
    }
    on_socket = document["channels"]["socket"]["messages"]
    return [
        Message(
            name,
            _direction(name in by_client, name in on_socket),
            message["summary"],
            _fields(document, message["payload"]["properties"].get("data", {})),
            _make_example(document, message["payload"]),
        )
        for name, message in document["components"]["messages"].items()
    ]


def _direction(is_by_client: bool, is_on_socket: bool) -> str:
    if is_by_client:
        return "to the server"
    return "to clients" if is_on_socket else "to clients of /api/events"


def _operations(document: Json) -> Iterator[tuple[str, Operation]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method != "parameters":
                shared = item.get("parameters", [])
                yield operation["tags"][0], _operation(document, method, path, operation, shared)


def _operation(
    document: Json, method: str, path: str, operation: Json, shared: list[Json]
) -> Operation:
    answers = [_body(document, status, answer) for status, answer in operation["responses"].items()]
    body = operation.get("requestBody")
    request = _body(document, "", body) if body else None
    return Operation(
        id=f"{method}-{path.strip('/')}".replace("/", "-").replace("{", "").replace("}", ""),
        method=method.upper(),
        path=path,
        summary=operation.get("summary", ""),
        description=operation.get("description", ""),
        parameters=[
            _parameter(document, each) for each in [*shared, *operation.get("parameters", [])]
        ],
        request=request,
        answers=sorted((a for a in answers if a.status != "default"), key=lambda a: a.status),
        curl=_make_curl(method.upper(), path, request.example if request else None),
    )


def _parameter(document: Json, parameter: Json) -> Named:
    parameter = _resolve(document, parameter)
    schema = _resolve(document, parameter.get("schema", {}))
    return Named(
        parameter["name"],
        _type(document, schema),
        parameter.get("description", ""),
        parameter.get("required", False),
    )


def _make_curl(method: str, path: str, body: Any) -> str:
    """Return a command for a shell; variables of the path are in capitals, to be replaced."""
    words = ["curl"] if method == "GET" else ["curl", "-X", method]
    if body is not None:
        data = json.dumps(body, ensure_ascii=False)
        words += ["-H", "'Content-Type: application/json'", "-d", shlex.quote(data)]
    address = _VARIABLE.sub(lambda match: match[1].upper(), path)
    return " ".join([*words, f'"$URL{address}"'])


def _body(document: Json, status: str, body: Json) -> Body:
    body = _resolve(document, body)
    contents: Json = body.get("content", {})
    kind = next(iter(contents), "")
    content = contents.get(kind, {})
    schema = content.get("schema", {})
    example = content.get("example")
    if example is None and kind == "application/json":
        example = _make_example(document, schema)
    return Body(status, body.get("description", ""), _fields(document, schema), example)


def _fields(document: Json, schema: Json) -> list[Named]:
    """Return the fields of an object, or of the objects in an array."""
    schema = _resolve(document, schema)
    if schema.get("type") == "array":
        schema = _resolve(document, schema["items"])
    required = schema.get("required", [])
    return [
        Named(name, _type(document, field), field.get("description", ""), name in required)
        for name, field in schema.get("properties", {}).items()
    ]


def _make_example(document: Json, schema: Json, depth: int = 0) -> Any:
    """Return a value that fits a schema; None for an object without described fields."""
    schema = _resolve(document, schema)
    if "const" in schema or "enum" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    kinds = schema.get("type", "string")
    kind = kinds[0] if isinstance(kinds, list) else kinds
    if kind == "array":
        item = _make_example(document, schema.get("items", {}), depth + 1)
        return [] if depth >= _MAX_DEPTH else [item]
    if kind == "object":
        properties = schema.get("properties", {}) if depth < _MAX_DEPTH else {}
        if not properties and not depth:
            return None
        return {
            name: _make_example(document, field, depth + 1) for name, field in properties.items()
        }
    if schema.get("default") is not None:
        return schema["default"]
    return _EXAMPLES.get(kind, "…")


def _type(document: Json, schema: Json) -> str:
    """Return a type in words: `array of Task`, `integer from 1 to 200, default 20`."""
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[1]
    if schema.get("type") == "array":
        return f"array of {_type(document, schema.get('items', {}))}"
    kinds = schema.get("type", "any")
    words = " or ".join(kinds) if isinstance(kinds, list) else str(kinds)
    if "enum" in schema:
        words += ": " + ", ".join(str(value) for value in schema["enum"])
    if "minimum" in schema and "maximum" in schema:
        words += f" from {schema['minimum']} to {schema['maximum']}"
    if schema.get("default") is not None:
        words += f", default {schema['default']}"
    return words


def _resolve(document: Json, item: Json) -> Json:
    """Follow `$ref` to the components of the document."""
    while "$ref" in item:
        _, _, path = item["$ref"].partition(_REF)
        kind, name = path.split("/")
        item = document["components"][kind][name]
    return item
