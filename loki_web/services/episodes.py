"""Episodic memory: what the agents did, one file an episode (`spec` 8.1).

Files lie in a folder a day, older ones directly in `episodic/`. Where two files have the same id,
the one with the newest timestamp counts, then the last by path.
"""

import os
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from loki_web.errors import NotFound
from loki_web.services.identifiers import checked
from loki_web.services.memory_entries import id_of_file, own_id, presentable, texts
from loki_web.store.collection import Collection
from loki_web.store.folder import Folder
from loki_web.store.shapes import Json, as_amount, as_count, as_dict, dicts_in, first_text
from loki_web.store.times import sort_key, tidy_time

PLACE = "memory/episodic"
_LISTS_OF_TEXTS = ("artifacts_produced", "files_read", "files_modified")


@dataclass(frozen=True, slots=True)
class Episode:
    """What is held of an episode: the rest stays in its file.

    :param path: below the folder of episodes.
    """

    id: str
    path: str
    instant: datetime


@dataclass(frozen=True, slots=True)
class Catalogue:
    """:param newest_first: one for each id; those without a time come last.
    :param by_id: the same ones.
    """

    newest_first: list[Episode]
    by_id: dict[str, Episode]


def collection(folder: Folder) -> Collection:
    """The files of all episodes."""
    return folder.collection(PLACE, nested=True, digest=_digest)


def catalogue(folder: Folder) -> Catalogue:
    """All episodes, in memory; shared, not to be changed."""
    return collection(folder).derived(_catalogue)


def episodes(folder: Folder, *, limit: int, offset: int = 0) -> list[Json]:
    """Episodes newest first, as they are stored and with the names that clients look for."""
    chosen = catalogue(folder).newest_first[offset : offset + limit]
    answers = (_answer_at(folder, episode) for episode in chosen)
    return [answer for answer in answers if answer is not None]


def episode(folder: Folder, identifier: str) -> Json:
    """:raises NotFound: when there is no episode of that id.
    :raises BadRequest: when it cannot be an id.
    """
    checked(identifier, "episode_id")
    found = find(folder, identifier)
    if found is None:
        raise NotFound("Episode not found")
    return found


def find(folder: Folder, identifier: str) -> Json | None:
    """The episode of that id, or None."""
    known = catalogue(folder).by_id.get(identifier)
    return _answer_at(folder, known) if known else None


def answer(path: str, stored: Any) -> Json:
    """The stored object without secrets, its times readable, with every field that clients read."""
    entry: Json = presentable(as_dict(stored))
    context = as_dict(entry.get("context"))
    actions = dicts_in(entry.get("action_log", entry.get("actionLog")))
    duration = as_amount(entry.get("duration_seconds", entry.get("durationSeconds")))
    lists: Json = {key: texts(entry[key]) for key in _LISTS_OF_TEXTS if key in entry}
    if "errors_encountered" in entry:
        lists["errors_encountered"] = dicts_in(entry["errors_encountered"])
    return {
        **entry,
        **lists,
        "id": own_id(entry) or id_of_file(path),
        "timestamp": tidy_time(entry.get("timestamp")),
        "taskId": first_text(entry.get("task_id"), entry.get("taskId")),
        "agent": first_text(entry.get("agent")),
        "phase": first_text(context.get("phase"), entry.get("phase")),
        "goal": first_text(context.get("goal"), entry.get("goal")),
        "outcome": first_text(entry.get("outcome")),
        "durationSeconds": duration or 0,
        "tokensUsed": as_count(entry.get("tokens_used", entry.get("tokensUsed"))),
        "action_log": actions,
        "actionLog": actions,
    }


def _answer_at(folder: Folder, known: Episode) -> Json | None:
    return collection(folder).made_of(known.path, answer)


def _digest(content: Any) -> tuple[str | None, datetime] | None:
    """The id and the instant of an episode; None for what is none."""
    if not isinstance(content, dict) or not content:
        return None
    return own_id(content), sort_key(content.get("timestamp"))


def _catalogue(items: list[tuple[str, Any]]) -> Catalogue:
    by_id: dict[str, Episode] = {}
    for path, (own, instant) in items:
        if os.path.basename(path) == "index.json":
            continue
        found = Episode(own or id_of_file(path), path, instant)
        twin = by_id.get(found.id)
        if twin is None or found.instant >= twin.instant:
            by_id[found.id] = found
    newest = sorted(by_id.values(), key=lambda known: (known.instant, known.path), reverse=True)
    return Catalogue(newest, by_id)
