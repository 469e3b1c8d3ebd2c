"""Episodic memory: the agents' work, one file per episode (docs/files.md, section 8.1).

Files are in one folder per day, older ones directly in `episodic/`. If two files have the same id,
the one with the newest timestamp is used, then the last by path.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple, TypedDict, cast

from loki_web.errors import NotFound
from loki_web.services.context import Sources
from loki_web.services.ids import check_id
from loki_web.services.memory.common import as_texts, clean_value, get_file_id, get_own_id
from loki_web.store.coerce import Json, as_amount, as_count, as_dict, dicts_in, first_text
from loki_web.store.collection import Collection
from loki_web.store.derived import refreshed
from loki_web.store.times import UNKNOWN_TIME, microseconds_of, tidy_time

FOLDER = "memory/episodic"
_LISTS_OF_TEXTS = ("artifacts_produced", "files_read", "files_modified")


class Episode(NamedTuple):
    """The cached fields of an episode; the rest stays in its file. Episodes sort by time.

    :ivar time: microseconds since 1970; UNKNOWN_TIME, which sorts first, without a time.
    :ivar path: relative to FOLDER.
    """

    time: int
    path: str
    id: str


@dataclass(frozen=True, slots=True)
class Catalog:
    """All episodes of a folder.

    :param generation: the generation of the collection.
    :param oldest_first: one episode per id; those without a time come first.
    :param by_id: the same episodes by id.
    :param by_path: the episodes of all files.
    """

    generation: int
    oldest_first: list[Episode]
    by_id: dict[str, Episode]
    by_path: dict[str, Episode]


class EpisodeDict(TypedDict):
    """The documented fields of an episode; further ones are as in its file, redacted."""

    id: str
    timestamp: str
    taskId: str
    agent: str
    phase: str
    goal: str
    outcome: str
    durationSeconds: float
    tokensUsed: int
    actionLog: list[Json]


def get_collection(sources: Sources) -> Collection:
    """Return the collection of episode files."""
    return sources.project.collection(FOLDER, nested=True, digest=_make_digest)


@refreshed
def get_catalog(sources: Sources, before: Catalog | None) -> Catalog:
    """Return the catalog of all episodes; shared, must not be changed."""
    files = get_collection(sources)
    changes = files.changes(before.generation if before else None)
    if before is None or changes.names is None:
        episodes = [_make_episode(path, digest) for path, digest in files.pairs()]
        return _make_catalog(changes.generation, [episode for episode in episodes if episode])
    by_time, by_id, by_path = before.oldest_first.copy(), before.by_id.copy(), before.by_path.copy()
    affected: set[str] = set()
    for path in changes.names:
        old, new = by_path.pop(path, None), _make_episode(path, files.value(path))
        affected.update(episode.id for episode in (old, new) if episode)
        if new is not None:
            by_path[path] = new
    for identifier in affected & by_id.keys():
        del by_time[bisect_left(by_time, by_id.pop(identifier))]
    latest = _choose_latest(episode for episode in by_path.values() if episode.id in affected)
    for episode in latest.values():
        insort(by_time, episode)
    return Catalog(changes.generation, by_time, by_id | latest, by_path)


def list_episodes(sources: Sources, *, limit: int, offset: int = 0) -> list[EpisodeDict]:
    """Return episodes, newest first, as `format_episode` formats them.

    :param limit: how many to return at most.
    :param offset: how many to skip.
    """
    newest_first = reversed(get_catalog(sources).oldest_first)
    page = islice(newest_first, offset, offset + limit)
    entries = (_read_episode(sources, episode) for episode in page)
    return [entry for entry in entries if entry is not None]


def get_episode(sources: Sources, identifier: str) -> EpisodeDict:
    """Return the episode with an id.

    :raises NotFound: when there is no such episode.
    :raises BadRequest: when the id is malformed.
    """
    check_id(identifier, "episode_id")
    entry = find_episode(sources, identifier)
    if entry is None:
        raise NotFound("Episode not found")
    return entry


def find_episode(sources: Sources, identifier: str) -> EpisodeDict | None:
    """Return the episode with an id, or None."""
    episode = get_catalog(sources).by_id.get(identifier)
    return _read_episode(sources, episode) if episode else None


def format_episode(path: str, stored: Any) -> EpisodeDict:
    """Return a stored episode, redacted and with every documented field.

    :param path: the path of its file, for the id of an episode that stores none.
    """
    entry: Json = clean_value(as_dict(stored))
    context = as_dict(entry.get("context"))
    actions = dicts_in(entry.get("action_log", entry.get("actionLog")))
    duration = as_amount(entry.get("duration_seconds", entry.get("durationSeconds")))
    lists: Json = {key: as_texts(entry[key]) for key in _LISTS_OF_TEXTS if key in entry}
    if "errors_encountered" in entry:
        lists["errors_encountered"] = dicts_in(entry["errors_encountered"])
    documented: EpisodeDict = {
        "id": get_own_id(entry) or get_file_id(path),
        "timestamp": tidy_time(entry.get("timestamp")),
        "taskId": first_text(entry.get("task_id"), entry.get("taskId")),
        "agent": first_text(entry.get("agent")),
        "phase": first_text(context.get("phase"), entry.get("phase")),
        "goal": first_text(context.get("goal"), entry.get("goal")),
        "outcome": first_text(entry.get("outcome")),
        "durationSeconds": duration or 0,
        "tokensUsed": as_count(entry.get("tokens_used", entry.get("tokensUsed"))),
        "actionLog": actions,
    }
    return cast(EpisodeDict, {**entry, **lists, **documented, "action_log": actions})


def _read_episode(sources: Sources, episode: Episode) -> EpisodeDict | None:
    return get_collection(sources).derive_one(episode.path, format_episode)


def _make_digest(content: Any) -> tuple[int, str | None] | None:
    """Return the time and the stored id of an episode, None for a malformed file."""
    if not isinstance(content, dict) or not content:
        return None
    return microseconds_of(content.get("timestamp"), UNKNOWN_TIME), get_own_id(content)


def _make_episode(path: str, digest: tuple[int, str | None] | None) -> Episode | None:
    """Return the catalog's entry for a file, None if it is malformed or an index."""
    if digest is None or path == "index.json" or path.endswith("/index.json"):
        return None
    time, own = digest
    fields = (time, path, own or get_file_id(path))
    return tuple.__new__(Episode, fields)  # twice as fast as `Episode(...)`, for each of many files


def _make_catalog(generation: int, episodes: list[Episode]) -> Catalog:
    by_id = _choose_latest(episodes)
    by_path = {episode.path: episode for episode in episodes}
    return Catalog(generation, sorted(by_id.values()), by_id, by_path)


def _choose_latest(episodes: Iterable[Episode]) -> dict[str, Episode]:
    """Return the episode of each id; the latest if there are several."""
    by_id: dict[str, Episode] = {}
    for episode in episodes:
        other = by_id.get(episode.id)
        if other is None or episode > other:
            by_id[episode.id] = episode
    return by_id
