"""gunicorn's settings, from the same LOKI_* variables as the application's.

Used by `gunicorn.conf.py` and `loki-web serve`. GUNICORN_CMD_ARGS and gunicorn's own options take
precedence.
"""

import gc
import sys
from typing import Any

import gunicorn.http.wsgi
import gunicorn.util

gc.disable()  # while modules are imported: it took a seventh of the start and found nothing

from loki_web import app as _app  # before the fork: workers share it
from loki_web import logging_setup, server_clock
from loki_web.config.parsers import WORKER_CLASSES
from loki_web.config.settings import get_process_settings
from loki_web.errors import SettingsError
from loki_web.live import shutdown
from loki_web.server import access_log, heap, hooks, inheritance, read_ahead, signals, worker

gc.enable()

try:
    _settings = get_process_settings()
except SettingsError as _error:
    sys.exit(f"loki-web: {_error}")

_sources = hooks.open_in_master(_settings)
_app.preload(_settings)  # HUP and the replacement of a worker change neither code nor settings
gunicorn.http.wsgi.SERVER = "loki-web"  # the Server header, without a version
gunicorn.util.write_error = hooks.refuse  # for requests that gunicorn cannot parse
gunicorn.util.write, gunicorn.util.write_chunk = worker.send, worker.send_chunk
STARTED_AT = server_clock.STARTED_AT  # imported before workers are forked

bind = [_settings.authority]
certfile = str(_settings.tls_cert) if _settings.tls_cert else None
keyfile = str(_settings.tls_key) if _settings.tls_key else None

worker_class = WORKER_CLASSES[_settings.worker_class]
workers = _settings.workers
threads = _settings.threads
timeout = 60
worker_tmp_dir = hooks.find_heartbeat_folder(_sources)
graceful_timeout = 10  # orchestrators kill after 10 to 30 seconds
limit_request_line = 8190
sendfile = False  # os.sendfile would block the thread until the client has read
keepalive = 75  # seconds; longer than load balancers, which must not reuse a closed connection

# The application evaluates forwarded headers, by the number of trusted proxies.
forwarded_allow_ips = ""
# gunicorn trusts these of every client of a unix socket.
forwarder_headers = ""
secure_scheme_headers: dict[str, str] = {}
logger_class = access_log.logger_class(_settings.log_format)
loglevel = _settings.log_level
accesslog = "-" if _settings.access_log else None
umask = 0o117  # of unix sockets, which get 0660: for the user and the group of the server
# The control socket would be in the home directory, which may be read-only.
control_socket_disable = True


def on_starting(server: Any) -> None:
    """Check the addresses and clean up, in the master before it forks."""
    inheritance.release(_sources, server)
    hooks.check_surroundings(_settings, server.cfg.address)
    hooks.raise_limit_of_descriptors()
    hooks.share_counts(_settings, server)
    signals.hold_back(server)
    hooks.replace_workers_without_a_gap(server)
    hooks.end_with_workers(server)
    hooks.sweep(_sources)
    hooks.forget_focus(_sources, server)
    hooks.sign_audit_log(_sources)
    hooks.report_missing_folder(_sources)
    gc.collect()
    gc.freeze()  # what is loaded by now is shared with the workers: the collector leaves it alone


def when_ready(server: Any) -> None:
    """Refuse public addresses without authentication, and fork the reader of a long history."""
    hooks.refuse_exposure(_settings, server)
    read_ahead.start_reader(_sources, server)


def pre_exec(server: Any) -> None:
    """Prepare the command of the next master, which SIGUSR2 starts."""
    hooks.repeat_command(server)


def pre_fork(server: Any, worker: Any) -> None:
    """Give the next worker a row of the numbers that all of them share."""
    worker.row = server.counts.take_row()


def post_fork(server: Any, worker: Any) -> None:
    """Let a new worker count in its row."""
    hooks.count_in_row(server, worker)


def child_exit(server: Any, worker: Any) -> None:
    """Let the next worker count on in the row of one that has ended."""
    if worker.row is not None:
        server.counts.give_back(worker.row)


def post_worker_init(worker: Any) -> None:
    """Prepare a worker that has loaded the application."""
    shutdown.close_on_signals(worker)
    signals.receive()
    heap.configure()
    hooks.handle_parse_errors(worker)
    gc.freeze()
    hooks.warm(worker)
    hooks.start_live(worker)
    hooks.start_webhooks(worker)


def post_request(worker: Any, req: Any, environ: Any, resp: Any) -> None:
    """Log a connection that the hub took over, and forget the request."""
    worker.log.log_takeover(resp, req, environ)
    logging_setup.end_request()


def worker_exit(server: Any, worker: Any) -> None:
    """Wait until live connections are closed."""
    shutdown.wait_for_goodbyes(worker)


def on_exit(server: Any) -> None:
    """Remove the pid file of this server, or give it to the next one after an upgrade."""
    hooks.hand_on_pid_file(_sources, server)
