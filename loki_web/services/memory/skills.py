"""Procedural memory: how things are done, one file a skill (`spec` 8.4).

Where two files have the same id, the one with the newest time counts, then the first by name.
"""

import os
from dataclasses import dataclass
from typing import Any

from loki_web.errors import NotFound
from loki_web.services.ids import check_id
from loki_web.services.memory.common import id_of_file, latest_time, own_id, presentable, texts
from loki_web.store.coerce import Json, dicts_in, first_text
from loki_web.store.collection import Collection
from loki_web.store.folder import Folder

PLACE = "memory/skills"
_TIMES = ("updated_at", "created_at", "last_accessed")


@dataclass(frozen=True, slots=True)
class Shelf:
    """:param by_id: one skill for each id.
    :param by_stem: the same ones by the name of their file without `.json`.
    """

    by_id: dict[str, Json]
    by_stem: dict[str, Json]


def collection(folder: Folder) -> Collection:
    """The files of all skills."""
    return folder.collection(PLACE)


def skills(folder: Folder) -> list[Json]:
    """All skills in the order of their files."""
    return list(shelf(folder).by_id.values())


def skill(folder: Folder, identifier: str) -> Json:
    """The skill of that id, else that in the file of that name.

    :raises NotFound: when there is none.
    :raises BadRequest: when it cannot be an id.
    """
    check_id(identifier, "skill_id")
    known = shelf(folder)
    found = known.by_id.get(identifier) or known.by_stem.get(identifier)
    if found is None:
        raise NotFound("Skill not found")
    return found


def shelf(folder: Folder) -> Shelf:
    """All skills as they are answered; shared, not to be changed."""
    return collection(folder).derive(_shelf)


def answer(path: str, stored: Json) -> Json:
    """The stored object without secrets, its times readable, with every field that clients read."""
    entry: Json = presentable(stored)
    criteria = texts(entry.get("exit_criteria")) or texts(entry.get("exitCriteria"))
    identifier = own_id(entry) or id_of_file(path)
    return {
        **entry,
        "id": identifier,
        "name": first_text(entry.get("name"), default=identifier),
        "description": first_text(entry.get("description")),
        "prerequisites": texts(entry.get("prerequisites")),
        "steps": texts(entry.get("steps")),
        "common_errors": dicts_in(entry.get("common_errors")),
        "exit_criteria": criteria,
        "exitCriteria": criteria,
    }


def _shelf(items: list[tuple[str, Any]]) -> Shelf:
    chosen: dict[str, tuple[str, Json]] = {}
    for path, stored in items:
        if not isinstance(stored, dict) or path == "index.json":
            continue
        identifier = own_id(stored) or id_of_file(path)
        twin = chosen.get(identifier)
        if twin is None or latest_time(stored, *_TIMES) > latest_time(twin[1], *_TIMES):
            chosen[identifier] = path, stored
    answers = {
        identifier: (path, answer(path, entry)) for identifier, (path, entry) in chosen.items()
    }
    return Shelf(
        {identifier: entry for identifier, (_, entry) in answers.items()},
        {os.path.splitext(path)[0]: entry for path, entry in answers.values()},
    )
