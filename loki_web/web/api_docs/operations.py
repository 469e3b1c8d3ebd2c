"""Convert the OpenAPI document for the page `/docs`: operations by tag, types in words."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from loki_web.store.coerce import Json

_REF = "#/components/"


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
    """A method of a path in the OpenAPI document, as `/docs` shows it."""

    id: str
    method: str
    path: str
    summary: str
    description: str
    parameters: list[Named]
    request: Body | None
    answers: list[Body]


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
    request = operation.get("requestBody")
    return Operation(
        id=f"{method}-{path.strip('/')}".replace("/", "-").replace("{", "").replace("}", ""),
        method=method.upper(),
        path=path,
        summary=operation.get("summary", ""),
        description=operation.get("description", ""),
        parameters=[
            _parameter(document, each) for each in [*shared, *operation.get("parameters", [])]
        ],
        request=_body(document, "", request) if request else None,
        answers=sorted((a for a in answers if a.status != "default"), key=lambda a: a.status),
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


def _body(document: Json, status: str, body: Json) -> Body:
    body = _resolve(document, body)
    content: Json = next(iter(body.get("content", {}).values()), {})
    schema = _resolve(document, content.get("schema", {}))
    if schema.get("type") == "array":
        schema = _resolve(document, schema["items"])
    required = schema.get("required", [])
    named = [
        Named(name, _type(document, field), field.get("description", ""), name in required)
        for name, field in schema.get("properties", {}).items()
    ]
    return Body(status, body.get("description", ""), named, content.get("example"))


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
