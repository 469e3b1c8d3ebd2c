"""Procedural memory: skills, one file each (docs/files.md, section 8.4).

If two files have the same id, the one with the newest time is used, then the first by name.
"""

import os
from dataclasses import dataclass
from typing import Any, TypedDict, cast

from loki_web.errors import NotFound
from loki_web.services.context import Sources
from loki_web.services.ids import check_id
from loki_web.services.memory.common import (
    as_texts,
    clean_value,
    get_file_id,
    get_latest_time,
    get_own_id,
)
from loki_web.store.coerce import Json, dicts_in, first_text
from loki_web.store.collection import Collection

FOLDER = "memory/skills"
_TIMES = ("updated_at", "created_at", "last_accessed")


class SkillDict(TypedDict):
    """The documented fields of a skill; further ones are as in its file, redacted."""

    id: str
    name: str
    description: str
    prerequisites: list[str]
    steps: list[str]
    exitCriteria: list[str]


@dataclass(frozen=True, slots=True)
class Skills:
    """All skills of a folder.

    :param by_id: one skill per id.
    :param by_stem: the same skills by the name of their file without `.json`.
    """

    by_id: dict[str, SkillDict]
    by_stem: dict[str, SkillDict]


def get_collection(sources: Sources) -> Collection:
    """Return the collection of skill files."""
    return sources.project.collection(FOLDER)


def list_skills(sources: Sources) -> list[SkillDict]:
    """Return all skills in the order of their files."""
    return list(get_all(sources).by_id.values())


def get_skill(sources: Sources, identifier: str) -> SkillDict:
    """Return the skill with an id, else the one in the file of that name.

    :raises NotFound: when there is no such skill.
    :raises BadRequest: when the id is malformed.
    """
    check_id(identifier, "skill_id")
    skills = get_all(sources)
    entry = skills.by_id.get(identifier) or skills.by_stem.get(identifier)
    if entry is None:
        raise NotFound("Skill not found")
    return entry


def get_all(sources: Sources) -> Skills:
    """Return all skills as `format_skill` formats them; shared, must not be changed."""
    return get_collection(sources).derive(_make_skills)


def count_skills(sources: Sources) -> int:
    """Return how many skills there are, without formatting them."""
    return len(get_collection(sources).derive(_choose_latest))


def format_skill(path: str, stored: Json) -> SkillDict:
    """Return a stored skill, redacted and with every documented field.

    :param path: the path of its file, for the id of a skill that stores none.
    """
    entry: Json = clean_value(stored)
    criteria = as_texts(entry.get("exit_criteria")) or as_texts(entry.get("exitCriteria"))
    identifier = get_own_id(entry) or get_file_id(path)
    documented: SkillDict = {
        "id": identifier,
        "name": first_text(entry.get("name"), default=identifier),
        "description": first_text(entry.get("description")),
        "prerequisites": as_texts(entry.get("prerequisites")),
        "steps": as_texts(entry.get("steps")),
        "exitCriteria": criteria,
    }
    others = {"common_errors": dicts_in(entry.get("common_errors")), "exit_criteria": criteria}
    return cast(SkillDict, {**entry, **others, **documented})


def _choose_latest(items: list[tuple[str, Any]]) -> dict[str, tuple[str, Json]]:
    """Return by id the path and the content of the file that counts."""
    latest: dict[str, tuple[str, Json]] = {}
    for path, content in items:
        if not isinstance(content, dict) or path == "index.json":
            continue
        identifier = get_own_id(content) or get_file_id(path)
        other = latest.get(identifier)
        if other is None or get_latest_time(content, *_TIMES) > get_latest_time(other[1], *_TIMES):
            latest[identifier] = path, content
    return latest


def _make_skills(items: list[tuple[str, Any]]) -> Skills:
    skills = {
        identifier: (path, format_skill(path, entry))
        for identifier, (path, entry) in _choose_latest(items).items()
    }
    return Skills(
        {identifier: entry for identifier, (_, entry) in skills.items()},
        {os.path.splitext(path)[0]: entry for path, entry in skills.values()},
    )
