"""Application factories: the complete server and the sidecar."""

import importlib
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial

from flask import Flask
from flask_compress import Compress

from loki_web.api import blueprints, metrics, session
from loki_web.config.checks import check_own_sockets
from loki_web.config.settings import Settings, get_process_settings
from loki_web.dashboard import page as dashboard
from loki_web.live import asyncapi
from loki_web.live import routes as live
from loki_web.server_clock import STARTED_AT
from loki_web.services import warming
from loki_web.services.context import WritableSources, open_sources
from loki_web.store import notifier, sqlite
from loki_web.store.times import utc_now
from loki_web.web import answers, context, cors, error_handlers, guard, openapi, readiness, tracing
from loki_web.web.api_docs import page as docs
from loki_web.web.json_provider import OrjsonProvider
from loki_web.web.proxies import TrustedProxies
from loki_web.web.request_parser import MAX_BODY_BYTES
from loki_web.webhooks import ledger

_READS = "loki_web.live.machines.reads"
_OPENMETRICS = "application/openmetrics-text"  # the format that Prometheus prefers


def create_app(settings: Settings | None = None, *, now: Callable[[], datetime] = utc_now) -> Flask:
    """Return the complete server: REST API with its documentation, page, live feed, metrics.

    :param settings: default: from the environment.
    :param now: the clock, replaced in tests.
    :raises SettingsError: when a setting of the environment is invalid.
    """
    app, sources = _guarded_app(settings or _get_settings(), now)
    openapi.install(app, blueprints.ALL)
    dashboard.install(app, sources.settings)
    docs.install(app, asyncapi.document)
    app.register_blueprint(asyncapi.blueprint)
    metrics.install(app, sources)
    tracing.install(app)
    app.extensions[warming.EXTENSION] = partial(warming.start_warming, sources)
    if sources.settings.webhook_url:
        from loki_web.webhooks.sender import Sender  # imports the client of the standard library

        app.extensions[ledger.EXTENSION] = Sender(sources)
    return app


def create_sidecar(
    settings: Settings | None = None, *, now: Callable[[], datetime] = utc_now
) -> Flask:
    """Return the live feed alone, for the connections of a proxy; raises as `create_app`."""
    app, sources = _guarded_app(settings or _get_settings(), now)
    app.add_url_rule("/health", view_func=session.health)
    app.add_url_rule("/health/live", view_func=session.live)
    app.add_url_rule("/health/ready", view_func=session.ready)
    metrics.install_sidecar(app, sources)
    tracing.install(app)
    return app


def preload(settings: Settings) -> None:
    """Read the files, modules and libraries that workers need, before they are forked.

    They answer with one version, whatever is installed in the meantime.
    """
    dashboard.read_assets(settings.auth_required)
    docs.read_files()
    sqlite.hash_program()
    notifier.load_library()
    for name in _get_modules_of(settings):
        importlib.import_module(name)


def _get_modules_of(settings: Settings) -> Iterator[str]:
    """Yield the modules that are imported late, because only these settings need them."""
    if settings.oidc_enabled:
        yield "loki_web.auth.oidc"
    if settings.redis_url:
        yield from ("loki_web.store.shared.redis", "loki_web.live.machines.service", _READS)
    if settings.webhook_url:
        yield "loki_web.webhooks.sender"


def _get_settings() -> Settings:
    """Return the settings of this process, unless it listens where it must not.

    gunicorn may run without our configuration, whose hooks look first.
    """
    settings = get_process_settings()
    check_own_sockets(may_be_open=settings.may_be_open)
    return settings


def _guarded_app(settings: Settings, now: Callable[[], datetime]) -> tuple[Flask, WritableSources]:
    """Return what both have in common: guard, error handlers, cached answers and live feed."""
    app = Flask("loki_web", static_folder=None)
    app.json = OrjsonProvider(app)
    app.url_map.merge_slashes = False  # paths of projects in URLs begin with a slash
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.config["COMPRESS_MIN_SIZE"] = 1024
    app.config["COMPRESS_LEVEL"] = 4  # gzip: half the time of level 6 for 3 % more bytes
    sources = open_sources(settings, STARTED_AT, now)
    app.extensions[context.EXTENSION] = sources
    app.extensions[readiness.EXTENSION] = readiness.Readiness(sources)
    request_guard = guard.install(app, sources)
    Compress(app).compress_mimetypes_set.add(_OPENMETRICS)
    cors.install(app, settings)
    error_handlers.install(app)
    answers.install(app, request_guard)
    live.install(app, sources)
    if sources.link is not None:
        importlib.import_module(_READS).install(app, sources)
    if settings.trusted_proxies:
        app.wsgi_app = TrustedProxies(  # type: ignore[method-assign]
            app.wsgi_app, settings.trusted_proxies
        )
    return app, sources
