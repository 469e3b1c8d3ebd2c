"""The type that a view returns agrees with its schema: keys, optional keys and types."""

import inspect
from collections.abc import Iterator
from typing import Any, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

from flask import Flask
from marshmallow import fields

from loki_web.api import blueprints
from loki_web.schemas.base import Answer
from tests.support.places import Place

SIMPLE = {
    fields.String: str,
    fields.Integer: int,
    fields.Float: float,
    fields.Boolean: bool,
    fields.Raw: Any,
}


def views(app: Flask) -> Iterator[tuple[str, Any, Answer]]:
    """Yield the name, the view and the schema of each answer of the REST API."""
    for blueprint in blueprints.ALL:
        for endpoint, methods in blueprint._docs.items():
            name = f"{blueprint.name}.{endpoint}"
            for answer in answers_in(methods):
                if isinstance(answer.get("schema"), Answer):
                    yield name, inspect.unwrap(app.view_functions[name]), answer["schema"]


def answers_in(methods: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for method in methods.keys() - {"parameters"}:
        for answers in methods[method]["response"]["responses"].values():
            yield from answers


def faults_of_answer(schema: Answer, hint: Any) -> Iterator[str]:
    if get_origin(hint) is tuple:
        hint, _ = get_args(hint)  # of the body, and of the headers beside it
    if schema.many:
        if get_origin(hint) is not list:
            yield f"returns {hint} in place of a list"
            return
        (hint,) = get_args(hint)
    alternatives = get_args(hint) if get_origin(hint) in (Union, type(int | str)) else (hint,)
    yield from faults_of_object(schema, alternatives[0])


def faults_of_object(schema: Any, hint: Any) -> Iterator[str]:
    if not is_typeddict(hint):
        yield f"is {hint} in place of a TypedDict"
        return
    hints = get_type_hints(hint, include_extras=True)
    declared = {field.data_key or name: field for name, field in schema.fields.items()}
    yield from (f"{hint.__name__} lacks {key}" for key in declared.keys() - hints.keys())
    yield from (f"the schema lacks {hint.__name__}.{key}" for key in hints.keys() - declared.keys())
    for key in declared.keys() & hints.keys():
        field, kind = declared[key], hints[key]
        is_optional = get_origin(kind) is NotRequired
        if is_optional == field.required:
            yield f"{hint.__name__}.{key}: optional in one of both only"
        yield from (
            f"{hint.__name__}.{key}: {fault}"
            for fault in faults_of_field(field, get_args(kind)[0] if is_optional else kind)
        )


def faults_of_field(field: Any, hint: Any) -> Iterator[str]:
    is_nullable = type(None) in get_args(hint)
    if is_nullable:
        hint = next(each for each in get_args(hint) if each is not type(None))
    if hint is not Any and is_nullable != bool(field.allow_none):
        yield "null in one of both only"
    if isinstance(field, fields.Nested):
        yield from faults_of_object(field.schema, hint)
    elif isinstance(field, fields.List | fields.Dict):
        container = list if isinstance(field, fields.List) else dict
        if get_origin(hint) is not container:
            yield f"is {hint} in place of a {container.__name__}"
            return
        item = field.inner if isinstance(field, fields.List) else field.value_field
        if item is not None:
            yield from faults_of_field(item, get_args(hint)[-1])
        elif get_args(hint)[-1] is not Any:
            yield f"is {hint}, but the schema declares no values"
    elif SIMPLE.get(type(field)) is not hint:
        yield f"is {hint}, but the schema has {type(field).__name__}"


def test_every_view_returns_what_its_schema_declares(place: Place) -> None:
    found = list(views(place.app()))
    assert len(found) > 50
    assert not [
        f"{name}: {fault}"
        for name, view, schema in found
        for fault in faults_of_answer(schema, get_type_hints(view).get("return"))
    ]
