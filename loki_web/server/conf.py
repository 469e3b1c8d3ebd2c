"""gunicorn's settings, from the same LOKI_* variables as the application's.

Used by `gunicorn.conf.py` and `loki-web serve`. GUNICORN_CMD_ARGS and gunicorn's own options take
precedence.
"""

import gc
import sys
from typing import Any

import gunicorn
import gunicorn.util

from loki_web import app as _app  # noqa: F401  # before the fork: workers share it
from loki_web import logging_setup, server_clock
from loki_web.config.settings import get_process_settings
from loki_web.errors import SettingsError
from loki_web.live import shutdown
from loki_web.server import access_log, heap, hooks

try:
    _settings = get_process_settings()
except SettingsError as _error:
    sys.exit(f"loki-web: {_error}")

gunicorn.SERVER = "loki-web"  # the Server header, without a version
gunicorn.util.write_error = hooks.refuse  # for requests that gunicorn cannot parse
STARTED_AT = server_clock.STARTED_AT  # imported before workers are forked

_host = f"[{_settings.host}]" if ":" in _settings.host else _settings.host
bind = [f"{_host}:{_settings.port}"]
certfile = str(_settings.tls_cert) if _settings.tls_cert else None
keyfile = str(_settings.tls_key) if _settings.tls_key else None

worker_class = "loki_web.server.worker.Worker"
workers = _settings.workers
threads = _settings.threads
timeout = 60
graceful_timeout = 10  # orchestrators kill after 10 to 30 seconds
limit_request_line = 8190
sendfile = False  # os.sendfile would block the thread until the client has read
keepalive = 75  # seconds; longer than load balancers, which must not reuse a closed connection

# The application evaluates forwarded headers, by the number of trusted proxies.
forwarded_allow_ips = ""
logger_class = access_log.logger_class(_settings.log_format)
loglevel = _settings.log_level
accesslog = "-" if _settings.access_log else None
# The control socket would be in the home directory, which may be read-only.
control_socket_disable = True


def on_starting(server: Any) -> None:
    hooks.refuse_exposure(_settings, server.cfg.address)
    hooks.sweep(_settings)
    hooks.report_missing_folder(_settings)
    gc.collect()
    gc.freeze()  # what is loaded by now is shared with the workers: the collector leaves it alone


def post_worker_init(worker: Any) -> None:
    shutdown.close_on_signals(worker)
    heap.limit_arenas()
    hooks.handle_parse_errors(worker)
    gc.freeze()
    hooks.warm(worker)


def post_request(worker: Any, req: Any, environ: Any, resp: Any) -> None:
    worker.log.log_takeover(resp, req, environ)
    logging_setup.end_request()


def worker_exit(server: Any, worker: Any) -> None:
    shutdown.wait_for_goodbyes(worker)


def on_exit(server: Any) -> None:
    hooks.remove_pid_file(_settings, server.pid)
