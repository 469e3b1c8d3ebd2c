"""Publishes the sessions of this machine: one process of the server does, the others stand by.

Its thread alone writes to Redis. The feeds of the sessions hand it what has changed; while Redis
does not answer, that waits in memory.
"""

import logging
import queue
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from loki_web.audit.log import get_tail
from loki_web.auth import token_store, tokens
from loki_web.errors import AwayError, PublicError, StorageError
from loki_web.live import protocol
from loki_web.live.feed.feed import Feed, Standing, Subscription
from loki_web.live.machines.answers import Answers
from loki_web.live.machines.entries import fold, load_entries, load_states
from loki_web.live.machines.outbox import Outbox
from loki_web.live.messages import Batch, Topic
from loki_web.live.protocol import topics_of
from loki_web.services.cells import Gauge
from loki_web.services.context import Sources, WritableSources
from loki_web.services.fleet import overview, selection
from loki_web.services.machines import keys
from loki_web.services.machines.names import name_session
from loki_web.services.machines.roster import MACHINE_SECONDS, Roster
from loki_web.services.session.state import STOPPED
from loki_web.store import atomic
from loki_web.store.coerce import Json
from loki_web.store.look import looking
from loki_web.store.writable import WritableFolder

if TYPE_CHECKING:
    from loki_web.store.shared.redis import Link

CHANNELS = frozenset(protocol.CHANNELS)
_NO_STATE = "-"  # no state has it, so the whole one is returned
_OWNER = "publisher-id"  # in the cache folder
_NOT_RUNNING = (STOPPED, overview.MISSING)
_EACH_SECONDS = 1.0
_PAUSE_SECONDS = 0.5  # before Redis is tried again
_STATE_SECONDS = 0.2
_FORGET_SECONDS = 24 * 60 * 60.0
_REPORT_SECONDS = 5.0
_LEASE_SECONDS = 10.0
_MOST_SESSIONS = 16  # of a machine whose events are published
_MOST_AUDIT = 1000

log = logging.getLogger(__name__)


class Session:
    """A session that is published: its feed, whose only listener this is.

    :param inbox: takes what the publisher's thread has to do, in the order of the feed.
    """

    def __init__(
        self, sources: Sources, outbox: Outbox, inbox: Callable[[Callable[[], None]], None]
    ) -> None:
        self.sources = sources
        self.outbox = outbox
        self.changed: set[str] = set()  # channels whose state has to be published
        self._inbox = inbox
        self._feed: Feed | None = None

    topics_in_use: frozenset[Topic] = topics_of(CHANNELS, None)

    def begin(self, values: Json, log_token: str) -> None:
        """Follow the files, and tell what is different from the values that were published last.

        :param log_token: the place in the log up to which lines were published.
        """
        self._feed = Feed(self.sources, self, values)
        known_tokens = {protocol.LOGS: log_token} if log_token else {}
        self._feed.subscribe(Subscription(CHANNELS, known_tokens), self._tell_missed)
        self.changed |= CHANNELS

    def ask_state(self) -> None:
        """Let the feed put the state of the changed channels into the inbox."""
        if self._feed is not None:
            for channel in self.changed:
                then = partial(self._tell_state, channel)
                self._feed.subscribe(Subscription(frozenset({channel}), {channel: _NO_STATE}), then)
        self.changed = set()

    def post(self, action: Callable[[], None]) -> None:
        """Run an action in this thread, which is the feed's."""
        action()

    def publish(self, batch: Batch) -> None:
        """Hand a change to the publisher."""
        self._inbox(partial(self._add, batch))

    def _tell_missed(self, standing: Standing) -> None:
        if standing.missed:
            topic = Topic(protocol.LOGS)
            token = standing.tokens[topic]
            self.publish(Batch.encode(topic, standing.missed, token))
        if standing.unknown:
            self._inbox(self.outbox.lose)  # lines of another log are lost

    def _tell_state(self, channel: str, standing: Standing) -> None:
        if standing.refusal:  # the next change asks again
            return
        messages = (*standing.missed, *standing.whole)
        token = standing.tokens[Topic(channel)]
        self._inbox(partial(self.outbox.put_state, channel, token, messages))

    def _add(self, batch: Batch) -> None:
        self.outbox.add(batch)
        self.changed.add(batch.topic.channel)


class Publisher:
    """Publishes for this machine while this process is the one that does.

    :ivar is_refused: whether another server publishes under the name of this machine.
    """

    def __init__(self, sources: WritableSources, link: "Link", roster: Roster) -> None:
        self._sources = sources
        self._link = link
        self._roster = roster
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._sessions: dict[Path, Session] = {}
        self._owner = ""
        self._reported = ""
        self._reported_at = self._asked_at = self._leased_at = 0.0
        self._audit_tail: Json | None = None
        self.is_refused = False

    def start(self) -> None:
        """Publish, or stand by, from now on; called in each worker."""
        threading.Thread(target=self._run, name="publisher", daemon=True).start()

    def _run(self) -> None:
        """Publish as soon as no other process of this server does."""
        folder = self._sources.cache_folder
        while True:
            with ExitStack() as stack:
                try:
                    if folder is not None:
                        stack.enter_context(atomic.locked(str(folder / "publisher"), 0.0))
                    self._owner = self._identify(folder)
                    if not self._sources.settings.is_edge:
                        machine = self._sources.settings.machine
                        Answers(self._link, machine, self._get_sessions).start()
                except (OSError, StorageError):
                    time.sleep(_EACH_SECONDS)
                    continue
                except RuntimeError as error:  # no more threads: another process may have one
                    log.warning("nothing is published yet: %s", error)
                    time.sleep(_EACH_SECONDS)
                    continue
                while True:
                    self._turn_safely()

    def _get_sessions(self) -> dict[str, Sources]:
        """Return the sources of the sessions that are published, by name."""
        return {
            name_session(self._sources, root): session.sources
            for root, session in list(self._sessions.items())
        }

    def _turn_safely(self) -> None:
        try:
            self._turn()
        except AwayError:
            self._doubt()
            time.sleep(_PAUSE_SECONDS)
        except Exception:  # whatever it is, the next turn may succeed
            log.exception("nothing could be published")
            time.sleep(_EACH_SECONDS)
        waiting = sum(session.outbox.waiting for session in self._sessions.values())
        self._sources.counts.put(Gauge.REDIS_WAITING, waiting)

    def _turn(self) -> None:
        """Take what has changed, write it, and once a second look after the rest."""
        self._drain()
        now = time.monotonic()
        is_due = now - self._leased_at >= _EACH_SECONDS
        if is_due:
            self._take_lease()
            self._leased_at = now
        if self.is_refused:
            return
        projects = self._list_projects() if is_due else []
        for session in self._sessions.values():
            while self._link.call(session.outbox.flush, tries_anyway=True):
                pass
            if session.outbox.has_lost:
                session.outbox.has_lost = False
                session.changed |= CHANNELS
        if is_due:  # after the streams: who knows a session can follow it
            self._report(projects)
            self._tell_revoked()
            self._tell_audit()
        if now - self._asked_at >= _STATE_SECONDS:
            self._asked_at = now
            for session in self._sessions.values():
                session.ask_state()

    def _drain(self) -> None:
        has_changed = any(session.changed for session in self._sessions.values())
        try:
            self._inbox.get(timeout=_STATE_SECONDS if has_changed else _EACH_SECONDS)()
            while True:
                self._inbox.get_nowait()()
        except queue.Empty:
            return

    def _take_lease(self) -> None:
        """Find out whether this server may publish under the name of this machine.

        The processes of one server have one owner, so that the next one goes on at once.
        """
        key, milliseconds = keys.lease(self._sources.settings.machine), int(_LEASE_SECONDS * 1000)

        def take(client: Any) -> tuple[bool, bool]:
            is_new = bool(client.set(key, self._owner, nx=True, px=milliseconds))
            is_ours = bool(client.get(key) == self._owner.encode())
            if is_ours:
                client.pexpire(key, milliseconds)
            return is_new, is_ours

        is_new, is_ours = self._link.call(take, tries_anyway=True)
        is_refused = not is_ours
        if is_new:  # Redis may have lost the former one, and more
            self._doubt()
        if is_refused and not self.is_refused:
            log.error("another server publishes as %s: set LOKI_MACHINE", key.rpartition(":")[2])
        self.is_refused = is_refused
        self._sources.counts.put(Gauge.REDIS_REFUSED, float(is_refused))
        if is_refused:
            for session in self._sessions.values():
                session.topics_in_use = frozenset()  # its feed ends
            self._sessions.clear()

    def _doubt(self) -> None:
        """Find out what Redis has, and tell again what it has not."""
        self._reported = ""
        for session in self._sessions.values():
            session.outbox.doubt()

    def _list_projects(self) -> list[Json]:
        """Return the fleet of this machine; begin to publish its own and its running sessions."""
        if self._sources.settings.is_edge:
            return []
        own = selection.get_root(self._sources)
        self._open(own)
        with looking():
            projects = overview.get_fleet(self._sources)["projects"]
        running = [each for each in projects if each["status"] not in _NOT_RUNNING]
        for project in running[: _MOST_SESSIONS - 1]:
            if project["registered"] or project["path"] == str(own):
                self._open(selection.find_root(self._sources, project["path"]))
        roots = {each.path: each.root for each in selection.list_known(self._sources)}
        return [
            {**each, "id": name_session(self._sources, roots.get(each["path"], Path(each["path"])))}
            for each in projects
        ]

    def _open(self, root: Path) -> None:
        """Publish the session of a project, going on where the last publisher has ended."""
        if root in self._sessions or len(self._sessions) >= _MOST_SESSIONS:
            return
        name = name_session(self._sources, root)

        entries = self._link.call(partial(load_entries, name), tries_anyway=True)
        stored_states = self._link.call(partial(load_states, name), tries_anyway=True)
        states = {channel: state for channel, state in stored_states.items() if channel in CHANNELS}
        values, log_token = {}, ""
        for channel, state in states.items():
            later = [each for each in entries if each.channel == channel and each.id > state.at]
            if channel == protocol.LOGS:
                log_token = later[-1].token if later else state.token
            elif state.messages:
                values[channel] = fold(state, later)
        last_of = {channel: state.last for channel, state in states.items()}
        sources = selection.open_project(self._sources, root).pin()
        session = Session(sources, Outbox(name, entries, last_of), self._inbox.put)
        self._sessions[root] = session
        session.begin(values, log_token)

    def _report(self, projects: list[Json]) -> None:
        """Tell what the projects of this machine are doing, at least every _REPORT_SECONDS."""
        machine, now = self._sources.settings.machine, time.monotonic()
        text = orjson.dumps({"projects": projects}).decode()
        if text == self._reported and now - self._reported_at < _REPORT_SECONDS:
            return
        for session in self._sessions.values():
            session.changed.add(protocol.STATUS)  # ages in it have grown

        def report(client: Any) -> None:
            with client.pipeline() as together:
                together.zadd(keys.MACHINES, {machine: time.time()})
                together.zremrangebyscore(keys.MACHINES, "-inf", time.time() - _FORGET_SECONDS)
                together.set(keys.machine(machine), text, px=int(MACHINE_SECONDS * 1000))
                together.execute()

        self._link.call(report, tries_anyway=True)
        self._reported, self._reported_at = text, now

    def _tell_revoked(self) -> None:
        """Tell which tokens are revoked in the file, and revoke in it those of other machines."""
        entries, now = token_store.load_tokens(self._sources), time.time()
        revoked = [key for key, entry in entries.items() if token_store.is_revoked(entry)]
        self._roster.revoke(dict.fromkeys(revoked, 0.0))
        for key in set(entries) - set(revoked):
            if self._roster.is_revoked(key, now):
                with suppress(PublicError):
                    tokens.revoke(self._sources, key)

    def _tell_audit(self) -> None:
        """Tell the last entry of the audit log: others then know that it was there."""
        tail = get_tail(self._sources)
        if tail and tail != self._audit_tail:
            fields: Any = {"machine": self._sources.settings.machine, **tail}
            self._link.call(
                lambda client: client.xadd(keys.AUDIT, fields, maxlen=_MOST_AUDIT),
                tries_anyway=True,
            )
            self._audit_tail = tail

    def _identify(self, folder: Path | None) -> str:
        """Return the id of this server, the same in all of its processes and after a restart."""
        own = secrets.token_hex(8)
        if folder is None:
            return own
        shared = WritableFolder(folder)
        stored_id = shared.text(_OWNER, limit=64)
        if not stored_id:
            shared.write_bytes(_OWNER, own.encode(), mode=0o600)
        return stored_id or own
