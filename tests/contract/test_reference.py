"""What the reference documents is there, and its own examples fit the description of the API."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import validate

from loki_web.auth import tokens
from tests.support import places, reference
from tests.support.answers import described
from tests.support.reference import Route

ROUTES = reference.routes()


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Any:
    place = places.empty(tmp_path_factory.mktemp("document"))
    return place.client().get("/openapi.json").get_json()


def test_the_reference_has_its_67_routes() -> None:
    assert len(ROUTES) == 67


@pytest.mark.slow
def test_the_document_is_openapi_3_1(document: Any) -> None:
    assert document["openapi"].startswith("3.1")
    validate(document)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.id)
def test_each_route_is_described(document: Any, route: Route) -> None:
    operation = described(document, route.path, route.method.lower())
    assert operation["summary"]
    named = {p["name"] for p in operation.get("parameters", []) if p.get("in") == "query"}
    assert set(route.parameters) <= named


@pytest.mark.parametrize("route", [r for r in ROUTES if r.parameters], ids=lambda route: route.id)
def test_documented_defaults_are_the_defaults(document: Any, route: Route) -> None:
    parameters = {
        p["name"]: p for p in described(document, route.path, route.method.lower())["parameters"]
    }
    for name, default in route.parameters.items():
        held = parameters[name]["schema"].get("default")
        assert str(held) == default.strip("`") or (default == "-" and held is None)


WORDS = ("null", "0h", "0000d", "0001m", "00010h", "9999d", "info,info", "0.0", "start", " ", "x")


def test_words_that_the_document_allows_in_a_query_are_accepted(
    document: Any, tmp_path: Path
) -> None:
    client = places.empty(tmp_path).client(LOKI_ENTERPRISE_AUDIT="true")
    refused = [
        (path, parameter["name"], word)
        for path, item in document["paths"].items()
        if "{" not in path
        for parameter in item.get("get", {}).get("parameters", ())
        if parameter["in"] == "query" and {"pattern", "default"} & parameter["schema"].keys()
        for word in WORDS
        if allows(parameter["schema"], word)
        and client.get(path, query_string={parameter["name"]: word}).status_code == 400
    ]
    assert refused == []


def allows(schema: Any, word: str) -> bool:
    """Return whether a parameter may have this text; no client can send null otherwise."""
    is_null = word == "null" and "null" in schema["type"]
    fits = jsonschema.Draft202012Validator(schema).is_valid(word)
    return is_null or (fits and "format" not in schema)


@pytest.mark.parametrize(
    "body", [{"name": " "}, {"name": "\x85"}, {"name": "x" * 256}, {"name": "y" * 255}]
)
def test_names_of_tokens_that_the_document_allows_are_accepted(
    document: Any, tmp_path: Path, body: Any
) -> None:
    place = places.empty(tmp_path)
    raw = tokens.create(place.sources(), "admin", role="admin")["token"]
    answer = place.client(LOKI_ENTERPRISE_AUTH="true").post(
        "/api/enterprise/tokens", json=body, headers={"Authorization": f"Bearer {raw}"}
    )
    schema = document["components"]["schemas"]["NewToken"]
    is_allowed = jsonschema.Draft202012Validator(schema).is_valid(body)
    assert answer.status_code == (201 if is_allowed else 400)


@pytest.mark.parametrize(
    "route", [r for r in ROUTES if r.answer is not None], ids=lambda route: route.id
)
def test_examples_of_answers_fit_and_are_shown(document: Any, route: Route) -> None:
    success = next(iter(successes(described(document, route.path, route.method.lower()))))
    content = success["content"]["application/json"]
    check(document, content["schema"], route.answer)
    first = route.answer[:1] if isinstance(route.answer, list) else route.answer
    assert content["example"] in (route.answer, first)


@pytest.mark.parametrize(
    "route", [r for r in ROUTES if r.request is not None], ids=lambda route: route.id
)
def test_examples_of_requests_fit(document: Any, route: Route) -> None:
    body = described(document, route.path, route.method.lower())["requestBody"]["content"][
        "application/json"
    ]
    check(document, body["schema"], route.request)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.id)
def test_every_shown_example_fits_its_own_schema(document: Any, route: Route) -> None:
    operation = described(document, route.path, route.method.lower())
    shown = [
        success.get("content", {}).get("application/json", {}) for success in successes(operation)
    ]
    shown.append(operation.get("requestBody", {}).get("content", {}).get("application/json", {}))
    for content in shown:
        if "example" in content:
            check(document, content["schema"], content["example"])


def successes(operation: Any) -> Iterator[Any]:
    for status, answer in operation["responses"].items():
        if status.startswith("2"):
            yield answer


def check(document: Any, schema: Any, value: Any) -> None:
    whole = {**schema, "components": document["components"]}
    jsonschema.Draft202012Validator(whole).validate(value)
