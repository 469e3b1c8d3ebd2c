"""The customer's reference as tests read it: its routes and the examples it gives for them."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REFERENCE = Path(__file__).parents[1] / "fixtures" / "api-reference.md"
_HEADING = re.compile(r"^#### `(GET|POST|PUT|DELETE|WS) (\S+)`")
_JSON_BLOCK = re.compile(r"^([^\n]*)\n```json\n(.*?)\n```", re.MULTILINE | re.DOTALL)
_PARAMETER = re.compile(r"^\| `(\w+)` \| (\w+) \| (\S+) \|", re.MULTILINE)


@dataclass
class Route:
    """:param parameters: query parameters with their documented defaults.
    :param answer: the example of an answer, None where the reference shows none.
    """

    method: str
    path: str
    parameters: dict[str, str] = field(default_factory=dict)
    request: Any = None
    answer: Any = None

    @property
    def id(self) -> str:
        return f"{self.method} {self.path}"


def routes() -> list[Route]:
    """Every documented HTTP route but `/metrics`, which answers no JSON."""
    found = []
    for section in re.split(r"(?m)^(?=#{2,4} )", REFERENCE.read_text(encoding="utf-8")):
        heading = _HEADING.match(section)
        if heading and heading[1] != "WS" and heading[2] != "/metrics":
            found.append(_route(heading[1], heading[2], section))
    return found


def _route(method: str, path: str, section: str) -> Route:
    route = Route(method, path)
    if "**Query Parameters:**" in section:
        route.parameters = {name: default for name, _, default in _PARAMETER.findall(section)}
    for label, block in _JSON_BLOCK.findall(section):
        if "Request Body" in label:
            route.request = json.loads(block)
        elif "Response" in label:
            route.answer = json.loads(block)
    return route
