"""Episodic memory: what the agents did, one file an episode (`spec` 8.1).

Files lie in a folder a day, older ones directly in `episodic/`. Where two files have the same id,
the one with the newest timestamp counts, then the last by path.
"""

import os
from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from loki_web.errors import NotFound
from loki_web.services.ids import check_id
from loki_web.services.memory.common import id_of_file, own_id, presentable, texts
from loki_web.store.coerce import Json, as_amount, as_count, as_dict, dicts_in, first_text
from loki_web.store.collection import Collection, Digest
from loki_web.store.derived import refreshed
from loki_web.store.folder import Folder
from loki_web.store.times import sort_key, tidy_time

PLACE = "memory/episodic"
_LISTS_OF_TEXTS = ("artifacts_produced", "files_read", "files_modified")


class Episode(NamedTuple):
    """What is held of an episode: the rest stays in its file. Episodes compare by time.

    :ivar path: below the folder of episodes.
    """

    instant: datetime
    path: str
    id: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """:param generation: of the collection.
    :param oldest_first: one for each id; those without a time come first.
    :param by_id: the same ones.
    :param by_path: those of all files.
    """

    generation: int
    oldest_first: list[Episode]
    by_id: dict[str, Episode]
    by_path: dict[str, Episode]


def collection(folder: Folder) -> Collection:
    """The files of all episodes."""
    return folder.collection(PLACE, nested=True, digest=_DIGEST)


@refreshed
def catalogue(folder: Folder, before: Catalogue | None) -> Catalogue:
    """All episodes, in memory; shared, not to be changed."""
    files = collection(folder)
    changes = files.changes(before.generation if before else None)
    if before is None or changes.names is None:
        known = [_episode(path, digest) for path, digest in files.pairs()]
        return _catalogue(changes.generation, [one for one in known if one])
    by_time, by_id, by_path = before.oldest_first.copy(), before.by_id.copy(), before.by_path.copy()
    affected: set[str] = set()
    for path in changes.names:
        old, new = by_path.pop(path, None), _episode(path, files.value(path))
        affected.update(one.id for one in (old, new) if one)
        if new is not None:
            by_path[path] = new
    for identifier in affected & by_id.keys():
        del by_time[bisect_left(by_time, by_id.pop(identifier))]
    latest = _latest(one for one in by_path.values() if one.id in affected)
    for one in latest.values():
        insort(by_time, one)
    return Catalogue(changes.generation, by_time, by_id | latest, by_path)


def episodes(folder: Folder, *, limit: int, offset: int = 0) -> list[Json]:
    """Episodes newest first, as they are stored and with the names that clients look for."""
    newest_first = reversed(catalogue(folder).oldest_first)
    chosen = islice(newest_first, offset, offset + limit)
    answers = (_answer_at(folder, episode) for episode in chosen)
    return [answer for answer in answers if answer is not None]


def episode(folder: Folder, identifier: str) -> Json:
    """:raises NotFound: when there is no episode of that id.
    :raises BadRequest: when it cannot be an id.
    """
    check_id(identifier, "episode_id")
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
    return collection(folder).derive_one(known.path, answer)


def _digest(content: Any) -> tuple[str | None, datetime] | None:
    """The id and the instant of an episode; None for what is none."""
    if not isinstance(content, dict) or not content:
        return None
    return own_id(content), sort_key(content.get("timestamp"))


def _dump(digest: tuple[str | None, datetime]) -> bytes:
    own, instant = digest
    return f"{instant.isoformat()} {own or ''}".encode()


def _load(dumped: bytes) -> tuple[str | None, datetime]:
    instant, _, own = dumped.decode().partition(" ")
    return own or None, datetime.fromisoformat(instant)


_DIGEST = Digest(_digest, _dump, _load)


def _episode(path: str, digest: tuple[str | None, datetime] | None) -> Episode | None:
    """What is listed of a file; None for one that is no episode."""
    if digest is None or os.path.basename(path) == "index.json":
        return None
    own, instant = digest
    return Episode(instant, path, own or id_of_file(path))


def _catalogue(generation: int, known: list[Episode]) -> Catalogue:
    by_id = _latest(known)
    return Catalogue(generation, sorted(by_id.values()), by_id, {one.path: one for one in known})


def _latest(known: Iterable[Episode]) -> dict[str, Episode]:
    """By id the one that counts."""
    by_id: dict[str, Episode] = {}
    for one in known:
        twin = by_id.get(one.id)
        if twin is None or one > twin:
            by_id[one.id] = one
    return by_id
