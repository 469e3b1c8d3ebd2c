"""What the reference documents is there, and its own examples fit the description of the API."""

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import validate

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
