"""From the OpenAPI document to what the page shows: groups of operations with fields in words."""

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
    """What a request or an answer holds."""

    status: str
    about: str
    fields: list[Named]
    example: Any


@dataclass(frozen=True)
class Operation:
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
    """The operations of a document under the tags that it lists, in its order."""
    found = list(_operations(document))
    return [
        Group(
            tag["name"], tag.get("description", ""), [o for name, o in found if name == tag["name"]]
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
    document: Json, method: str, path: str, found: Json, shared: list[Json]
) -> Operation:
    answers = [_body(document, status, answer) for status, answer in found["responses"].items()]
    asked = found.get("requestBody")
    return Operation(
        id=f"{method}-{path.strip('/')}".replace("/", "-").replace("{", "").replace("}", ""),
        method=method.upper(),
        path=path,
        summary=found.get("summary", ""),
        description=found.get("description", ""),
        parameters=[_parameter(document, each) for each in [*shared, *found.get("parameters", [])]],
        request=_body(document, "", asked) if asked else None,
        answers=sorted((a for a in answers if a.status != "default"), key=lambda a: a.status),
    )


def _parameter(document: Json, found: Json) -> Named:
    found = _resolved(document, found)
    schema = _resolved(document, found.get("schema", {}))
    return Named(
        found["name"],
        _type(document, schema),
        found.get("description", ""),
        found.get("required", False),
    )


def _body(document: Json, status: str, found: Json) -> Body:
    found = _resolved(document, found)
    content: Json = next(iter(found.get("content", {}).values()), {})
    schema = _resolved(document, content.get("schema", {}))
    if schema.get("type") == "array":
        schema = _resolved(document, schema["items"])
    required = schema.get("required", [])
    named = [
        Named(name, _type(document, field), field.get("description", ""), name in required)
        for name, field in schema.get("properties", {}).items()
    ]
    return Body(status, found.get("description", ""), named, content.get("example"))


def _type(document: Json, schema: Json) -> str:
    """`string`, `array of Task`, `integer from 1 to 200, 20 when left out` …"""
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
        words += f", {schema['default']} when left out"
    return words


def _resolved(document: Json, found: Json) -> Json:
    while "$ref" in found:
        _, _, place = found["$ref"].partition(_REF)
        kind, name = place.split("/")
        found = document["components"][kind][name]
    return found
