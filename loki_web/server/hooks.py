"""gunicorn hooks: start-up checks, clean-up, error responses for unparsable requests."""

import json
import logging
import resource
import socket
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from flask import Flask
from gunicorn.http.errors import ParseException
from gunicorn.util import write_nonblock

from loki_web import logging_setup
from loki_web.audit.log import WritableAuditLog
from loki_web.config.checks import check_addresses
from loki_web.config.parsers import OTHER_WORKER_CLASSES, WORKER_CLASSES
from loki_web.config.settings import Settings
from loki_web.errors import LinkedFolder, SettingsError
from loki_web.live.service import get_live
from loki_web.live.shutdown import STOP_SIGNALS
from loki_web.server import heap
from loki_web.server_clock import STARTED_AT
from loki_web.services import cells, warming
from loki_web.services.context import POLL, Sources, WritableSources, open_sources
from loki_web.services.fleet import selection
from loki_web.services.session.processes import parse_pid
from loki_web.store.shared.cache_dir import temporary_folder
from loki_web.store.shared.counts import SharedCounts, open_counts, use
from loki_web.store.writable import WritableFolder
from loki_web.web.error_handlers import handle_malformed_body
from loki_web.webhooks import ledger

# Folders below `.loki/` and `~/.loki/` in which this server writes files.
_WRITTEN = ("", "signals", "notifications", "metrics", "state", "state/checkpoints")
_WRITTEN_AT_HOME = ("dashboard", "dashboard/audit")
READY_SECONDS = 30.0  # how long old workers stay for new ones at a reload
_POLL_SECONDS = 0.02
_END_SECONDS, _END_POLL_SECONDS = 2.5, 0.002  # gunicorn waits 2 s for idle connections
_SPARE_ROWS = 16  # for workers that SIGTTIN adds
_PID_FILE = "dashboard/dashboard.pid"

log = logging.getLogger(__name__)


def refuse_worker_class(name: str) -> None:
    """Exit when gunicorn's own option names a worker class that cannot serve the live feed."""
    if name not in (*WORKER_CLASSES.values(), "gunicorn.workers.gthread.ThreadWorker"):
        sys.exit(f"loki-web: the worker class {name} is not supported: {OTHER_WORKER_CLASSES}")


def refuse_exposure(settings: Settings, server: Any) -> None:
    """Exit when gunicorn listens on a public address without authentication.

    No worker runs yet. The sockets are checked, because gunicorn's own `--bind` and sockets that
    systemd hands over take precedence over the LOKI_* variables.
    """
    names = [listener.sock.getsockname() for listener in server.LISTENERS]
    names = names or server.cfg.address  # with SO_REUSEPORT each worker makes its own sockets
    try:
        hosts = [name[0] for name in names if isinstance(name, tuple)]  # others are unix sockets
        check_addresses(hosts, may_be_open=settings.may_be_open)
    except SettingsError as error:
        sys.exit(f"loki-web: {error}")


def open_in_master(settings: Settings) -> WritableSources:
    """Return sources without file system events: inotify is limited, and workers need it."""
    return open_sources(replace(settings, watch=POLL), STARTED_AT)


def repeat_command(server: Any) -> None:
    """Make an upgrade by USR2 start Python as this process was started.

    gunicorn would repeat `python -m gunicorn` as `python .../gunicorn/__main__.py`. gunicorn's own
    folder then comes first in the module path, and its package `http` hides the standard library's.
    """
    server.START_CTX["args"] = [sys.executable, *sys.orig_argv[1:]]


def check_surroundings(settings: Settings, addresses: Iterable[Any]) -> None:
    """Exit with one line for an address that cannot be used; log the warnings of the settings."""
    try:
        for address in addresses:
            if isinstance(address, tuple):
                settings.check_free(str(address[0]), int(address[1]))
            else:
                settings.check_socket(address)
    except SettingsError as error:
        sys.exit(f"loki-web: {error}")
    for warning in settings.warnings:
        log.warning("%s", warning)


def find_heartbeat_folder(sources: Sources) -> str | None:
    """Return the folder of the workers' heartbeats; None for the system's temporary folder.

    Exit with one line if there is no such folder, as with a read-only root file system.
    """
    if temporary_folder() is not None:
        return None
    folder = sources.cache_folder
    if folder is None:
        sys.exit("loki-web: there is no folder for temporary files: set LOKI_CACHE_DIR or TMPDIR")
    return str(folder)


def sweep(sources: WritableSources) -> None:
    """Remove temporary files that a killed server left behind."""
    sources.project.sweep(*_WRITTEN)
    sources.user.sweep(*_WRITTEN_AT_HOME)
    WritableFolder(sources.settings.audit_key.parent).sweep("")


def is_sidecar(server: Any) -> bool:
    """Return whether a master serves the live feed alone."""
    return "sidecar" in server.app.app_uri


def forget_focus(sources: WritableSources, server: Any) -> None:
    """Show the project of this server again, as the runner expects of a new server.

    Neither a sidecar nor the new master of an upgrade by USR2 is a new server.
    """
    is_new = not server.master_pid and not is_sidecar(server)
    if is_new and sources.cache_folder is not None:
        selection.forget_focus(sources)


def sign_audit_log(sources: WritableSources) -> None:
    """Create the key of the audit log at the first start, see `audit.seal`."""
    WritableAuditLog(sources).sign_end()


def raise_limit_of_descriptors() -> None:
    """Allow as many open files and connections as the system permits; workers inherit it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # macOS reports no limit and does not accept it
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def share_counts(settings: Settings, server: Any) -> None:
    """Map the memory in which workers count, with rows for two reloads at one time."""
    server.counts = SharedCounts(3 * settings.workers + _SPARE_ROWS)


def count_in_row(server: Any, worker: Any) -> None:
    """Make this process count in the row of its worker; without one it counts for itself."""
    if worker.row is not None:
        use(server.counts.open(worker.row))


def replace_workers_without_a_gap(server: Any) -> None:
    """At a reload, let the master stop old workers only when the new ones accept connections.

    gunicorn stops them as soon as it has forked the new ones, which then load the application.
    """
    stop_surplus = server.manage_workers

    def manage_workers() -> None:
        deadline = time.monotonic() + READY_SECONDS
        while len(server.WORKERS) > server.num_workers and time.monotonic() < deadline:
            newest = sorted(server.WORKERS.values(), key=lambda worker: worker.age)
            if all(map(_is_accepting, newest[-server.num_workers :])):
                break
            time.sleep(_POLL_SECONDS)
        stop_surplus()

    server.manage_workers = manage_workers


def end_with_workers(server: Any) -> None:
    """At a stop, let the master notice at once that its workers have ended.

    gunicorn polls every 0.1 s and sleeps once more after the last worker. Here the master polls
    every 2 ms for up to _END_SECONDS, in which it handles no other signal.
    """
    kill_workers = server.kill_workers

    def kill_workers_and_wait(number: int) -> None:
        kill_workers(number)
        deadline = time.monotonic() + _END_SECONDS
        while number in STOP_SIGNALS and server.WORKERS and time.monotonic() < deadline:
            server.reap_workers()
            time.sleep(_END_POLL_SECONDS)

    server.kill_workers = kill_workers_and_wait


def _is_accepting(worker: Any) -> bool:
    """Return whether a worker has sent a heartbeat, which has the time of the monotonic clock."""
    return bool(worker.tmp.last_update() <= time.monotonic())


def report_missing_folder(sources: WritableSources) -> None:
    """Log one line if there is no session yet: an empty page may also mean a wrong LOKI_DIR.

    Workers that start later know whether the folder was there, see `store.inputs.Presence`.
    """
    sources.project.begin_presence()
    folder = sources.settings.loki_dir
    if not folder.is_dir():
        log.warning("there is no %s yet: waiting for a session (see LOKI_DIR)", folder)


def handle_parse_errors(worker: Any) -> None:
    """Make the worker's application answer a malformed chunked body with 400.

    gunicorn detects it only while the application reads the body. Registered here, because only
    this package imports gunicorn.
    """
    if isinstance(worker.wsgi, Flask):
        worker.wsgi.register_error_handler(ParseException, handle_malformed_body)


def warm(worker: Any) -> None:
    """Start to warm the caches of the worker's application; the sidecar has none."""
    start = getattr(worker.wsgi, "extensions", {}).get(warming.EXTENSION)
    if start is not None:
        start(heap.trim, lambda: getattr(worker, "is_serving", False))  # gthread has no is_serving


def start_live(worker: Any) -> None:
    """Prepare the live feed of the worker's application, see `Live.start`."""
    live = get_live(worker.wsgi)
    if live is not None:
        live.start()


def start_webhooks(worker: Any) -> None:
    """Send webhooks from the worker, if there is an address; the sidecar sends none."""
    sender = getattr(worker.wsgi, "extensions", {}).get(ledger.EXTENSION)
    if sender is not None:
        sender.start()


def hand_on_pid_file(sources: WritableSources, server: Any) -> None:
    """Remove the pid file that the CLI wrote for this server, unless it names another process.

    After an upgrade by USR2 it gets the pid of the new server instead.
    """
    folder = sources.project
    if parse_pid(folder.text(_PID_FILE, limit=64)) != server.pid:
        return
    with suppress(LinkedFolder):
        if server.reexec_pid:
            folder.write_bytes(_PID_FILE, f"{server.reexec_pid}\n".encode())
        else:
            folder.remove(_PID_FILE)


def refuse(connection: socket.socket, status: int, reason: str, message: str) -> None:
    """Answer an unparsable request with the same JSON error as any other.

    Replaces `gunicorn.util.write_error`.

    :param message: gunicorn's description; not sent, because it may repeat the client's bytes.
    """
    request_id = logging_setup.begin_request()
    log.info("refused a request: %s %s", status, reason)
    cells.count_refusal(open_counts(), status)
    logging_setup.end_request()
    body = json.dumps({"detail": f"The request cannot be read: {reason}"})
    head = (
        f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: application/json\r\n"
        f"X-Content-Type-Options: nosniff\r\nX-Request-ID: {request_id}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    write_nonblock(connection, f"{head}{body}".encode("latin1"))
