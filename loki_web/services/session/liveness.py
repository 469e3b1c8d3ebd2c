"""Whether the recorded sessions run, from evidence (docs/decisions/012-liveness-from-evidence.md).

A record is a pid in a file. The process that has this number now is the recorded one only if
nothing of what the kernel tells about it contradicts the file. Where pids are not comparable
(another pid namespace, another machine, no pid at all), the heartbeat decides: when the session
last wrote its state, its events or a log.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from loki_web.services.context import Sources
from loki_web.services.session import processes
from loki_web.store import files
from loki_web.store.coerce import Json, as_dict, first_text
from loki_web.store.derived import derived
from loki_web.store.look import observe
from loki_web.store.process import Ended, Process, get_process, read_process, sees_all_processes
from loki_web.store.times import parse_time

SESSION_FILE = "session.json"
PID_FILES = ("loki.pid", "run.pid")
_RECORDS = (*PID_FILES, SESSION_FILE, "sessions", "pids")
GLOBAL = "global"  # the id of the session that has no folder below `sessions/`
KnownBy = Literal["process", "heartbeat", "unknown"]
PROCESS: KnownBy = "process"
HEARTBEAT: KnownBy = "heartbeat"
UNKNOWN: KnownBy = "unknown"
_SESSION_KINDS = frozenset({"runner", "wrapper"})
_START_KEYS = ("startedAt", "started", "start_time", "startTime")
_START_SLACK = 2.0  # seconds; between the clock of the kernel and that of the file system
_SKEW = 60.0  # seconds that the clock of a file server may be wrong
_LATEST_RECORD = 3600.0  # seconds after its start within which a session writes its pid
_NO_PID = (None, 0, "", "0")  # what writers put into `session.json` that know no pid
_LARGEST_PID = 1 << 22  # PID_MAX_LIMIT of Linux
_RUNNER_SILENCE = timedelta(minutes=5)  # the runner rewrites its state every few seconds
_SKILL_SILENCE = timedelta(minutes=30)  # an agent without a runner writes after each step
_SKILL_LIFE = timedelta(hours=6)  # of a session that has neither a pid nor a heartbeat
_BEATS = (
    *("dashboard-state.json", "autonomy-state.json", "events.jsonl", "CONTINUITY.md"),
    *("state/orchestrator.json", "queue/pending.json", "queue/in-progress.json"),
    *("queue/current-task.json", "queue/completed.json"),
)

Verdict = Literal["proven", "possible", "another", "absent", "ended"]


@dataclass(frozen=True)
class Record:
    """A pid in a file.

    :param file: relative to the folder of the session.
    :param written_at: when the file was last written, seconds since the epoch.
    :param started_at: the start of the process by the file's content, like `written_at`.
    """

    session: str
    file: str
    pid: int
    written_at: float
    started_at: float | None = None

    @property
    def began_at(self) -> float | None:
        """When the process began: a pid file is written then, other files are written again."""
        return self.written_at if self.file.endswith(".pid") else self.started_at


@dataclass(frozen=True)
class Liveness:
    """Whether a session runs, which, and how that is known.

    :param known_by: what tells it: a process, the heartbeat, or neither.
    :param record: of the live process that is shown as the session's; None without one.
    :param sessions: of the live sessions, the id and, if known, the pid.
    :param started_at: when the live session began, seconds since the epoch.
    :param is_stale: whether the session is recorded as running but has fallen silent.
    """

    alive: bool
    known_by: KnownBy = UNKNOWN
    record: Record | None = None
    sessions: tuple[tuple[str, int | None], ...] = ()
    started_at: float | None = None
    is_stale: bool = False

    @property
    def pid(self) -> int | None:
        """The pid of the process that is shown as the session's; None without one."""
        return self.record.pid if self.record else None


@dataclass(frozen=True)
class _Evidence:
    """What files and processes tell without the clock.

    :param live: records whose process runs.
    :param foreign: records whose process may run where this server cannot see it.
    :param open_since: start of a session that records no pid, seconds since the epoch.
    :param beat: when the session last wrote; looked up only if no process runs.
    """

    live: tuple[Record, ...] = ()
    foreign: tuple[Record, ...] = ()
    open_since: float | None = None
    beat: float | None = None
    is_recorded: bool = False


def get_liveness(sources: Sources) -> Liveness:
    """Return whether a session runs, which, and how that is known (docs/files.md, 17.1)."""
    evidence = _get_evidence(sources)
    if evidence.live:
        first = evidence.live[0]
        sessions = tuple((record.session, record.pid) for record in evidence.live)
        return Liveness(True, PROCESS, first, sessions, first.began_at or first.written_at)
    beat, since = evidence.beat, evidence.open_since
    if not evidence.foreign and since is None:
        return Liveness(False, PROCESS if evidence.is_recorded else UNKNOWN)
    now = sources.now()
    if evidence.foreign and _is_within(beat, now, _RUNNER_SILENCE):
        first = evidence.foreign[0]
        names = dict.fromkeys(record.session for record in evidence.foreign)
        unseen = tuple((name, None) for name in names)
        return Liveness(True, HEARTBEAT, None, unseen, first.began_at or first.written_at)
    if since is not None:
        has_beat = beat is not None and beat > since - _SKEW
        alive = _is_within(
            *((beat, now, _SKILL_SILENCE) if has_beat else (since, now, _SKILL_LIFE))
        )
        known_by = HEARTBEAT if has_beat else UNKNOWN
        return Liveness(alive, known_by, None, ((GLOBAL, None),) * alive, since, not alive)
    return Liveness(False, HEARTBEAT, is_stale=True)


def judge(sources: Sources, record: Record) -> Verdict:
    """Return whether the process with the recorded number is the recorded one."""
    process: Process | Ended | None = observe(get_process(record.pid))
    if isinstance(process, Ended):
        return "ended" if process.at >= record.written_at else "absent"
    return "absent" if process is None else compare(sources, record, process)


def compare(sources: Sources, record: Record, process: Process) -> Verdict:
    """Return whether a running process is the recorded one.

    `proven` needs evidence of the process itself: its working directory is below the project.
    """
    project = sources.project.path.parent
    if process.is_odd or process.own_pid not in (None, record.pid):
        return "another"
    folder = process.folder
    is_inside = folder is not None and files.is_below(str(project.resolve()), folder)
    if process.started is not None:
        slack = _SKEW if is_inside else _START_SLACK
        begun_later = process.started > record.written_at + slack
        if begun_later or (record.started_at and process.started > record.started_at + _SKEW):
            return "another"
    if is_inside:
        return "proven"
    if record.pid == 1 or (folder and _has_begun_before(record, process)):
        return "another"
    return "possible"


def _has_begun_before(record: Record, process: Process) -> bool:
    """Return whether a process is too old to be the one that was new when it was recorded."""
    began_at, started = record.began_at, process.started
    return began_at is not None and started is not None and started < began_at - _LATEST_RECORD


def terminate(sources: Sources, record: Record, sessions: Iterable[int]) -> str | None:
    """Send SIGTERM to the recorded process if it is proven to be that, and may be signalled.

    :param sessions: the recorded pids of sessions.
    :return: why nothing was sent; None when the signal was sent.
    """
    process = read_process(record.pid)
    if process is None:
        return f"process {record.pid} does not run here"
    verdict = compare(sources, record, process)
    if verdict == "another":
        return f"process {record.pid} is not the recorded one"
    if verdict == "possible":
        return f"process {record.pid} does not work in the folder of the project"
    others = sources.settings.signal_other_users
    return processes.send_term(process, sessions=sessions, others=others)


def may_run_elsewhere(sources: Sources, record: Record, verdict: Verdict) -> bool:
    """Return whether a recorded pid may be that of a process which this server cannot see.

    The number of such a process is that of another one here, or of none. A number that is free
    in the first pid namespace of this machine, on a disk of its own, is that of a dead process;
    one of a server there was written by mistake.
    """
    if verdict == "ended" or record.pid > _LARGEST_PID:
        return False
    if verdict == "another":
        return True
    return not sees_all_processes() or not files.reports_changes(sources.project.path)


def is_live(verdict: Verdict) -> bool:
    """Return whether the recorded process runs."""
    return verdict in ("proven", "possible")


def list_records(sources: Sources) -> list[Record]:
    """Return the recorded pids of sessions, the main one first.

    Each number once, except that of sessions with a folder each: these may run in a pid namespace
    each, where all have the same number.
    """
    named: dict[tuple[str, int], Record] = {}
    for record in filter(None, _list_pid_files(sources)):
        named.setdefault((record.session, record.pid), record)
    registered = {record.pid: record for record in _list_registered_sessions(sources)}
    pids = {record.pid for record in named.values()}
    return [*named.values(), *(each for pid, each in registered.items() if pid not in pids)]


def read_pid_file(sources: Sources, name: str) -> int | None:
    """Return the pid in a pid file, whether that process is alive or not."""
    return processes.parse_pid(sources.project.text(name, limit=64), least=1)


def get_session_file_start(sources: Sources) -> datetime | None:
    """Return the start time in `session.json`, else the time at which the file was written."""
    started = _get_recorded_start(as_dict(sources.project.document(SESSION_FILE)))
    version = sources.project.version(SESSION_FILE) if started is None else None
    return datetime.fromtimestamp(version.mtime, UTC) if version else started


def _get_recorded_start(session: Json) -> datetime | None:
    """Return the start time in the content of `session.json`; None without one."""
    return next(filter(None, (parse_time(session.get(key)) for key in _START_KEYS)), None)


def make_record(
    sources: Sources, file: str, pid: int | None, started: datetime | None = None, session: str = ""
) -> Record | None:
    """Return the record of a pid in a file; None without a pid or without the file."""
    version = sources.project.version(file) if pid is not None else None
    if pid is None or version is None:
        return None
    return Record(session, file, pid, version.mtime, started.timestamp() if started else None)


def list_registered(sources: Sources, *, least: int) -> Iterator[tuple[Record, Json]]:
    """Yield the processes in `pids/`, each with its entry; files whose name is no pid are skipped.

    :param least: the smallest number that is a pid.
    """
    for name, content in sources.project.collection("pids").items():
        pid, entry = processes.parse_pid(name.removesuffix(".json"), least=least), as_dict(content)
        started = parse_time(entry.get("started"))
        record = make_record(sources, f"pids/{name}", pid, started, GLOBAL)
        if record:
            yield record, entry


def _list_pid_files(sources: Sources) -> Iterator[Record | None]:
    """Yield the records of the files that name one session each; None for one without a pid."""
    for name in PID_FILES:
        yield make_record(sources, name, read_pid_file(sources, name), session=GLOBAL)
    session = as_dict(sources.project.document(SESSION_FILE))
    if session.get("status") == "running":
        pid = processes.parse_pid(session.get("pid"), least=1)
        yield make_record(sources, SESSION_FILE, pid, _get_recorded_start(session), GLOBAL)
    for identity in sources.project.folder_names("sessions"):
        name = f"sessions/{identity}/loki.pid"
        yield make_record(sources, name, read_pid_file(sources, name), session=identity)


def _list_registered_sessions(sources: Sources) -> Iterator[Record]:
    """Yield the entries of `pids/` that are sessions; helpers have no `kind`."""
    if sources.project.is_folder("pids"):  # an event tells when there is one
        for record, entry in list_registered(sources, least=1):
            if first_text(entry.get("kind")) in _SESSION_KINDS:
                yield record


@derived
def _get_evidence(sources: Sources) -> _Evidence:
    if not sources.project.may_have(*_RECORDS):  # as most of many registered projects
        return _Evidence()
    live: list[Record] = []
    foreign: list[Record] = []
    records = list_records(sources)
    for record in records:
        verdict = judge(sources, record)
        if is_live(verdict) and not _is_server(record.pid):
            live += [record] * (not _is_counted(record, live))
        elif may_run_elsewhere(sources, record, verdict):
            foreign.append(record)
    evidence = _Evidence(tuple(live), tuple(foreign), is_recorded=bool(records))
    if live:
        return evidence
    session = as_dict(sources.project.document(SESSION_FILE))
    if session.get("status") == "running" and session.get("pid") in _NO_PID:
        started = get_session_file_start(sources)
        evidence = replace(evidence, open_since=started.timestamp() if started else None)
    if foreign or evidence.open_since is not None:
        evidence = replace(evidence, beat=get_beat(sources))
    return evidence


def _is_counted(record: Record, live: list[Record]) -> bool:
    """Return whether a record is of a session that was found already.

    A session has one main process in `loki.pid`, `run.pid` or `session.json`; the wrapper of a
    runner is its parent, and registered too.
    """
    if record.session == GLOBAL and not record.file.startswith("pids/"):
        return any(other.session == GLOBAL for other in live)
    parents = {other.pid: _get_parent(other.pid) for other in live}
    related = {*parents, *parents.values()}
    return record.pid in related or _get_parent(record.pid) in parents


def _is_server(pid: int) -> bool:
    process = observe(get_process(pid))
    return isinstance(process, Process) and processes.is_server(process)


def _get_parent(pid: int) -> int | None:
    process = observe(get_process(pid))
    return process.parent if isinstance(process, Process) else None


@derived
def get_beat(sources: Sources) -> float | None:
    """Return when the session last wrote its state, its events or a log."""
    logs = (f"logs/{name}" for name in sources.project.file_names("logs", ".log"))
    sessions = (
        f"sessions/{name}/autonomy-state.json" for name in sources.project.folder_names("sessions")
    )
    versions = (sources.project.version(name) for name in (*_BEATS, *logs, *sessions))
    return max((version.mtime for version in versions if version), default=None)


def _is_within(moment: float | None, now: datetime, most: timedelta) -> bool:
    return moment is not None and abs(now.timestamp() - moment) < most.total_seconds()
