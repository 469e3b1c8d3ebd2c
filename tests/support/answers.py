"""Every documented GET with parameters that exist, and what its answer has to be like."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol
from urllib.parse import quote

import jsonschema

from tests.support import reference

# Where the ids of a resource are listed, for the routes that take one.
_LISTS = {
    "/api/memory/episodes/{episode_id}": "/api/memory/episodes",
    "/api/memory/patterns/{pattern_id}": "/api/memory/patterns",
    "/api/memory/skills/{skill_id}": "/api/memory/skills",
    "/api/checkpoints/{checkpoint_id}": "/api/checkpoints",
    "/api/registry/projects/{identifier}": "/api/registry/projects",
    "/api/registry/projects/{identifier}/health": "/api/registry/projects",
}
_NEEDS_A_SETTING = (
    "/api/enterprise/tokens",
    "/api/enterprise/audit",
    "/api/enterprise/audit/summary",
)


class Answered(Protocol):
    """An answer of the test client or of a real server, as far as it is looked at."""

    @property
    def status_code(self) -> int: ...


Get = Callable[[str], Answered]


def body_of(answer: Answered) -> bytes:
    data: bytes = answer.content if hasattr(answer, "content") else getattr(answer, "data")  # noqa: B009
    return data


def strict_json(answer: Answered) -> Any:
    """The JSON of an answer as the strictest parser reads it."""
    return json.loads(body_of(answer), parse_constant=_refuse)


def gets() -> list[str]:
    """The documented GET routes, `/metrics` apart."""
    return [route.path for route in reference.routes() if route.method == "GET"]


def addresses(get: Get, template: str) -> Iterator[str]:
    """The template with ids of things that are listed; itself where it takes none."""
    if "{" not in template:
        yield template
        return
    before, rest = template.split("{")
    after = rest.partition("}")[2]
    for entry in strict_json(get(_LISTS[template])):
        yield before + quote(str(entry["id"]), safe="") + after


def check(document: Any, template: str, path: str, answer: Answered) -> Any:
    """The answer is 200 and fits the description; routes that a setting opens may be 403.

    :return: its JSON.
    """
    value = strict_json(answer)
    if answer.status_code == 403 and template in _NEEDS_A_SETTING:
        assert set(value) == {"detail"}
        return value
    assert answer.status_code == 200, (path, value)
    description = _description(document, template)
    if (body := body_of(answer)) not in description.fitting:
        description.validator.validate(value)
        description.fitting.add(body)
    return value


@dataclass
class _Description:
    """:param fitting: the bodies that have been found to fit; most files change few answers."""

    document: Any
    validator: jsonschema.Draft202012Validator
    fitting: set[bytes] = field(default_factory=set)


_descriptions: dict[str, _Description] = {}  # by template, of the document that was used last


def _description(document: Any, template: str) -> _Description:
    known = _descriptions.get(template)
    if known is None or known.document is not document:
        answer = described(document, template)["responses"]["200"]
        schema = answer["content"]["application/json"]["schema"]
        whole = {**schema, "components": document["components"]}
        known = _Description(document, jsonschema.Draft202012Validator(whole))
        _descriptions[template] = known
    return known


def described(document: Any, template: str, method: str = "get") -> Any:
    """The operation of a route; the names of path parameters may differ."""
    for path, item in document["paths"].items():
        if _same(path, template) and method in item:
            return item[method]
    raise AssertionError(f"{method} {template} is not described")


def _same(ours: str, theirs: str) -> bool:
    mine, other = ours.split("/"), theirs.split("/")
    alike = all(a == b or (a[:1] == "{" == b[:1]) for a, b in zip(mine, other, strict=False))
    return alike and len(mine) == len(other)


def _refuse(constant: str) -> NoReturn:
    raise AssertionError(f"{constant} is not JSON")
