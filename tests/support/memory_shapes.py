"""What tests of the memory routes share: the fields of entries, and nonsense to put on disk."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

GETS = [
    "/api/memory/summary",
    "/api/memory/episodes",
    "/api/memory/patterns",
    "/api/memory/skills",
    "/api/memory/economics",
    "/api/memory/index",
    "/api/memory/timeline",
]
EPISODE_FIELDS = {
    "id": str,
    "timestamp": str,
    "taskId": str,
    "agent": str,
    "phase": str,
    "goal": str,
    "outcome": str,
    "durationSeconds": int | float,
    "tokensUsed": int,
    "actionLog": list,
}
PATTERN_FIELDS = {
    "id": str,
    "pattern": str,
    "category": str,
    "confidence": int | float,
    "usageCount": int,
    "conditions": list,
    "correctApproach": str,
    "incorrectApproach": str,
}
SKILL_FIELDS = {
    "id": str,
    "name": str,
    "description": str,
    "prerequisites": list,
    "steps": list,
    "exitCriteria": list,
}
NONSENSE: list[Any] = [
    None,
    5,
    "x",
    [],
    {},
    [1, None, "x", []],
    {"patterns": 5, "topics": "x", "recent_actions": 7, "metrics": [], "last_updated": {}},
    {"id": {}, "timestamp": [], "context": "x", "action_log": {"a": 1}, "goal": 5},
]


def get(client: FlaskClient, path: str) -> Any:
    response = client.get(path)
    assert response.status_code == 200, response.get_data(as_text=True)
    return json.loads(response.data, parse_constant=pytest.fail)


def has(entry: dict[str, Any], fields: dict[str, Any]) -> bool:
    return all(
        isinstance(entry[name], kind) and not isinstance(entry[name], bool)
        for name, kind in fields.items()
    )


def episode(identifier: str, moment: str | None = None, **more: Any) -> dict[str, Any]:
    return {"id": identifier, **({"timestamp": moment} if moment else {}), **more}
