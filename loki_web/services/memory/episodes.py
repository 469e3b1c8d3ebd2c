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
from loki_web.services.ids import checked
from loki_web.services.memory.common import as_texts, clean_value, get_file_id, get_own_id
from loki_web.store.coerce import Json, as_amount, as_count, as_dict, dicts_in, first_text
from loki_web.store.collection import Collection, Digest
from loki_web.store.derived import refreshed
from loki_web.store.folder import Folder
from loki_web.store.times import sort_key, tidy_time

FOLDER = "memory/episodic"
_LISTS_OF_TEXTS = ("artifacts_produced", "files_read", "files_modified")


class Episode(NamedTuple):
    """What is held of an episode: the rest stays in its file. Episodes compare by time.

    :ivar path: below the folder of episodes.
    """

    instant: datetime
    path: str
    id: str


@dataclass(frozen=True, slots=True)
class Catalog:
    """:param generation: of the collection.
    :param oldest_first: one for each id; those without a time come first.
    :param by_id: the same ones.
    :param by_path: those of all files.
    """

    generation: int
    oldest_first: list[Episode]
    by_id: dict[str, Episode]
    by_path: dict[str, Episode]


def get_collection(folder: Folder) -> Collection:
    """The files of all episodes."""
    return folder.collection(FOLDER, nested=True, digest=_DIGEST)


@refreshed
def get_catalog(folder: Folder, before: Catalog | None) -> Catalog:
    """All episodes, in memory; shared, not to be changed."""
    files = get_collection(folder)
    changes = files.changes(before.generation if before else None)
    if before is None or changes.names is None:
        known = [_make_episode(path, digest) for path, digest in files.pairs()]
        return _make_catalog(changes.generation, [one for one in known if one])
    by_time, by_id, by_path = before.oldest_first.copy(), before.by_id.copy(), before.by_path.copy()
    affected: set[str] = set()
    for path in changes.names:
        old, new = by_path.pop(path, None), _make_episode(path, files.value(path))
        affected.update(one.id for one in (old, new) if one)
        if new is not None:
            by_path[path] = new
    for identifier in affected & by_id.keys():
        del by_time[bisect_left(by_time, by_id.pop(identifier))]
    latest = _choose_latest(one for one in by_path.values() if one.id in affected)
    for one in latest.values():
        insort(by_time, one)
    return Catalog(changes.generation, by_time, by_id | latest, by_path)


def list_episodes(folder: Folder, *, limit: int, offset: int = 0) -> list[Json]:
    """Episodes newest first, as they are stored and with the names that clients look for."""
    newest_first = reversed(get_catalog(folder).oldest_first)
    chosen = islice(newest_first, offset, offset + limit)
    answers = (_read_episode(folder, episode) for episode in chosen)
    return [answer for answer in answers if answer is not None]


def get_episode(folder: Folder, identifier: str) -> Json:
    """:raises NotFound: when there is no episode of that id.
    :raises BadRequest: when it cannot be an id.
    """
    checked(identifier, "episode_id")
    found = find_episode(folder, identifier)
    if found is None:
        raise NotFound("Episode not found")
    return found


def find_episode(folder: Folder, identifier: str) -> Json | None:
    """The episode of that id, or None."""
    known = get_catalog(folder).by_id.get(identifier)
    return _read_episode(folder, known) if known else None


def format_episode(path: str, stored: Any) -> Json:
    """The stored object without secrets, its times readable, with every field that clients read."""
    entry: Json = clean_value(as_dict(stored))
    context = as_dict(entry.get("context"))
    actions = dicts_in(entry.get("action_log", entry.get("actionLog")))
    duration = as_amount(entry.get("duration_seconds", entry.get("durationSeconds")))
    lists: Json = {key: as_texts(entry[key]) for key in _LISTS_OF_TEXTS if key in entry}
    if "errors_encountered" in entry:
        lists["errors_encountered"] = dicts_in(entry["errors_encountered"])
    return {
        **entry,
        **lists,
        "id": get_own_id(entry) or get_file_id(path),
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


def _read_episode(folder: Folder, known: Episode) -> Json | None:
    return get_collection(folder).made_of(known.path, format_episode)


def _make_digest(content: Any) -> tuple[str | None, datetime] | None:
    """The id and the instant of an episode; None for what is none."""
    if not isinstance(content, dict) or not content:
        return None
    return get_own_id(content), sort_key(content.get("timestamp"))


def _dump_digest(digest: tuple[str | None, datetime]) -> bytes:
    own, instant = digest
    return f"{instant.isoformat()} {own or ''}".encode()


def _load_digest(dumped: bytes) -> tuple[str | None, datetime]:
    instant, _, own = dumped.decode().partition(" ")
    return own or None, datetime.fromisoformat(instant)


_DIGEST = Digest(_make_digest, _dump_digest, _load_digest)


def _make_episode(path: str, digest: tuple[str | None, datetime] | None) -> Episode | None:
    """What is listed of a file; None for one that is no episode."""
    if digest is None or os.path.basename(path) == "index.json":
        return None
    own, instant = digest
    return Episode(instant, path, own or get_file_id(path))


def _make_catalog(generation: int, known: list[Episode]) -> Catalog:
    by_id = _choose_latest(known)
    return Catalog(generation, sorted(by_id.values()), by_id, {one.path: one for one in known})


def _choose_latest(known: Iterable[Episode]) -> dict[str, Episode]:
    """By id the one that counts."""
    by_id: dict[str, Episode] = {}
    for one in known:
        twin = by_id.get(one.id)
        if twin is None or one > twin:
            by_id[one.id] = one
    return by_id
