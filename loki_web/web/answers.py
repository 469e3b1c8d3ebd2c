"""Cache of responses to GET requests, valid until one of their inputs changes.

An answer is what a view returned: body, ETag and the inputs that the view read. While the versions
of the inputs are unchanged, a request is a lookup. From its second request on an answer is cached
with its headers in encoded form, one per content coding: such a request is answered before Flask
routes it, after the same checks as every other request. `/metrics` is answered the same way, but
its body is computed when it is requested (`bypass_flask`).
"""

import hashlib
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache, partial, wraps
from typing import Any, NamedTuple, TypeVar, cast

from cachetools import LRUCache
from flask import Flask, Response, current_app, request
from werkzeug.http import parse_accept_header, parse_etags

from loki_web import logging_setup
from loki_web.errors import PublicError
from loki_web.schemas.logs import CURSOR_HEADER
from loki_web.store.look import (
    Dependencies,
    Inputs,
    Look,
    Unsettled,
    are_current,
    looking,
    looking_again,
    recording,
)
from loki_web.store.packing import LARGE_BYTES, pack, unpack
from loki_web.web import context
from loki_web.web.access import METRICS, SCOPES_HEADER, get_identity_in
from loki_web.web.coalescing import Coalescer
from loki_web.web.guard import REQUEST_ID_HEADER, Guard

# Of answers, large ones packed. One is read for the second request of a URL, for another content
# coding, and for requests with an Origin; all other requests get a form.
MAX_BYTES = 512 * 1024
MAX_FORM_BYTES = 2 * 1024 * 1024
_MAX_REQUESTED = 1024  # URLs that are known to have been requested
_TRIES = 3  # to compute an answer from one consistent state of the files
_ANSWER = "loki_web.answer"
_CHANGE = "loki_web.change"
_IS_PLAIN = "loki_web.is_plain"
_EXTENSION = "loki_web.answers"
# Browsers may cache the response for this user, and must revalidate it before each use.
_CACHING = "private, no-cache"
_OF_ONE_REQUEST = frozenset(
    {REQUEST_ID_HEADER.lower(), SCOPES_HEADER.lower(), "date", "content-length"}
)
_OF_A_BODY = frozenset({"content-type", "content-length", "content-encoding"})
_ACCEPTED = "HTTP_ACCEPT_ENCODING"
_IF_NONE_MATCH = "HTTP_IF_NONE_MATCH"
_CODINGS = ("zstd", "br", "gzip", "deflate")  # of flask-compress, in its order of preference
# A gzip header and a window of 16 KiB. With the defaults of zlib, buffers reach the size from which
# `server.heap` has each mapped and unmapped.
_GZIP_BITS, _GZIP_MEMORY = 16 + 14, 7
_OVERHEAD = 4096  # bytes of an entry besides its body: headers, and states of its inputs
# The only header besides the content coding that a response depends on.
_HEADER_OF_PATH = {"/": "HTTP_HOST", "/asyncapi.json": "HTTP_HOST", METRICS: "HTTP_ACCEPT"}

Environ = dict[str, Any]
Key = tuple[str | frozenset[str] | None, ...]
View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Answer:
    """What a view returned.

    :ivar rule: of the route; determines the scope that a request needs.
    :ivar headers: those that the view set, and Cache-Control unless clients must not keep it.
    :ivar etag: None if clients must not keep the response.
    :ivar write: returns the body, called for each request; None if the body is constant.
    :ivar is_packed: whether the body is compressed, to be kept.
    """

    rule: str
    body: bytes
    headers: list[tuple[str, str]]
    etag: str | None
    dependencies: Dependencies
    write: Callable[[], bytes] | None = None
    is_packed: bool = False

    def pack(self) -> "Answer":
        """Return the answer as it is kept: with a large body compressed."""
        if len(self.body) <= LARGE_BYTES:
            return self
        return replace(self, body=pack(self.body), is_packed=True)

    def unpack(self) -> "Answer":
        """Return the answer as it was before `pack`."""
        if not self.is_packed:
            return self
        return replace(self, body=unpack(self.body), is_packed=False)


@dataclass(frozen=True, slots=True)
class _Form:
    """An answer in one content coding, with all headers that do not depend on the request.

    It does not refer to the answer, whose body is several times as large and may be evicted.

    :ivar write: returns a new body in the content coding, for all requests that wait, see
        `Coalescer`; None if the body is constant.
    """

    rule: str
    etag: str | None
    dependencies: Dependencies
    headers: list[tuple[str, str]]
    body: bytes
    write: Callable[[], bytes] | None = None


class _Change(NamedTuple):
    """Dependencies of which one has changed, and the look in which that was found."""

    dependencies: Dependencies
    look: Look


class Answers:
    """The cached answers of one application. The least recently used are evicted."""

    def __init__(self) -> None:
        self._answers: LRUCache[Key, Answer] = LRUCache(
            MAX_BYTES, getsizeof=lambda answer: len(answer.body) + _OVERHEAD
        )
        self._forms: LRUCache[Key, _Form] = LRUCache(
            MAX_FORM_BYTES, getsizeof=lambda form: len(form.body) + _OVERHEAD
        )
        self._requested: LRUCache[int, None] = LRUCache(_MAX_REQUESTED)
        self._computing: dict[Key, threading.Event] = {}
        self._lock = threading.Lock()

    def respond(self, view: Callable[[], Any], *, is_confidential: bool) -> Response:
        """Answer the current request from the cache or by the view.

        :param view: the view, called without arguments.
        :param is_confidential: whether clients must not keep the response.
        :return: the response; a conditional request may get 304.
        """
        # A look holds what it has parsed, and the environ lasts until the answer is sent.
        key, change = _key(request.environ), request.environ.pop(_CHANGE, None)
        answer, look = self._find_current(key, change)
        if answer is None:
            with self._single_computation(key) as has_waited:
                if has_waited:
                    answer, look = self._find_current(key)
                if answer is None:
                    response, inputs = _compute(view, look)
                    if response.status_code != 200 or response.is_streamed:
                        return response
                    answer = _answer(response, inputs, is_confidential)
                    self._keep(key, answer)
        request.environ[_ANSWER] = answer
        response = Response(answer.body, headers=answer.headers)
        if answer.etag is None:
            return response  # with the guard's `no-store`
        response.set_etag(answer.etag, weak=True)
        if _IS_PLAIN in request.environ:
            # `_send` compares the ETag. If Flask-Compress did, its 304 would leave no form.
            request.environ.pop(_IF_NONE_MATCH, None)
            return response
        return cast(Response, response.make_conditional(request))

    def form(self, environ: Environ) -> _Form | None:
        """Return the cached form for a request, or None. The caller checks that it is current."""
        with self._lock:
            return self._forms.get((*_key(environ), environ[_ACCEPTED]))

    def make_form(self, environ: Environ, headers: list[tuple[str, str]], body: bytes) -> _Form:
        """Return the response of Flask as a form; cache it from the second request of the URL on.

        Most URLs with a query are requested once.
        """
        answer: Answer = environ[_ANSWER]
        kept_headers = [header for header in headers if header[0].lower() not in _OF_ONE_REQUEST]
        write = None
        if answer.write:
            coding = dict(headers).get("Content-Encoding", "")
            body, write = b"", Coalescer(partial(_write_encoded, answer.write, _ENCODERS[coding]))
        body = answer.body if body == answer.body else body  # one copy of equal bytes
        form = _Form(answer.rule, answer.etag, answer.dependencies, kept_headers, body, write)
        key = _key(environ)
        with self._lock:
            is_repeated = hash(key) in self._requested or write is not None
            self._requested[hash(key)] = None
            if is_repeated and _limit(environ) is None and len(body) + _OVERHEAD < MAX_FORM_BYTES:
                self._forms[(*key, environ[_ACCEPTED])] = form
        return form

    def _find_current(
        self, key: Key, change: _Change | None = None
    ) -> tuple[Answer | None, Look | None]:
        """Return the cached answer if it is current, else the look in which a change was found."""
        with self._lock:
            answer = self._answers.get(key)
        if answer is None or (change and answer.dependencies is change.dependencies):
            return None, change.look if change else None
        look = answer.dependencies.look_for_change()
        return (answer.unpack(), None) if look is None else (None, look)

    def _keep(self, key: Key, answer: Answer) -> None:
        packed = answer.pack()
        with self._lock:
            if len(packed.body) + _OVERHEAD < MAX_BYTES:
                self._answers[key] = packed

    @contextmanager
    def _single_computation(self, key: Key) -> Iterator[bool]:
        """Let one thread compute an answer while others wait for it.

        The waiting threads continue concurrently, because not every answer can be cached.

        :return: whether this thread has waited for another one.
        """
        with self._lock:
            other_event = self._computing.get(key)
            if other_event is None:
                own_event = self._computing[key] = threading.Event()
        if other_event is not None:
            other_event.wait()
            yield True
            return
        try:
            yield False
        finally:
            with self._lock:
                del self._computing[key]
            own_event.set()


class KeptAnswers:
    """WSGI middleware that sends cached answers without Flask.

    Every other request goes to Flask, also one that the guard refuses.

    :param wsgi_app: the application that answers everything else.
    """

    def __init__(self, app: Flask, wsgi_app: Any, guard: Guard) -> None:
        self._answers = get_answers(app)
        self._wsgi_app = wsgi_app
        self._guard = guard

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Send a kept answer that is still current; otherwise let Flask respond."""
        # Reduce the header to the coding that is used, so that each coding has one cache entry.
        environ[_ACCEPTED] = _coding(environ.get(_ACCEPTED, ""))
        if not _is_plain(environ):
            return cast(Iterable[bytes], self._wsgi_app(environ, start_response))
        environ[_IS_PLAIN] = True
        form = self._answers.form(environ)
        look = form.dependencies.look_for_change() if form else None
        if form and look is not None:
            environ[_CHANGE] = _Change(form.dependencies, look)
        elif form:
            scopes = self._scopes(environ, form.rule)
            if scopes is not None and _limit(environ) is None:
                body = _body_of(form)
                if body is not None:
                    known = environ.get(_IF_NONE_MATCH)
                    return _send(form, body, known, scopes, start_response)
        return self._through_flask(environ, start_response)

    def _scopes(self, environ: Environ, rule: str) -> str | None:
        """Return the value of X-Loki-Scopes; None if the guard refuses the request."""
        try:
            return self._guard.admit(environ, rule)
        except PublicError:
            return None

    def _through_flask(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Let Flask answer, and make a form of a response of `respond` with status 200."""
        status, headers = "", list[tuple[str, str]]()
        known = environ.get(_IF_NONE_MATCH)  # `respond` removes it

        def start(status_line: str, fields: list[tuple[str, str]], exc_info: Any = None) -> None:
            nonlocal status, headers
            status, headers = status_line, fields

        chunks = self._wsgi_app(environ, start)
        if _ANSWER not in environ or not status.startswith("200 "):
            start_response(status, headers)
            return cast(Iterable[bytes], chunks)
        body = b"".join(chunks)
        chunks.close()
        form = self._answers.make_form(environ, headers, body)
        scopes = dict(headers).get(SCOPES_HEADER, "")
        return _send(form, body, known, scopes, start_response)


def install(app: Flask, guard: Guard) -> None:
    """Install the cache in front of Flask, see `KeptAnswers`."""
    app.extensions[_EXTENSION] = Answers()
    app.wsgi_app = KeptAnswers(app, app.wsgi_app, guard)  # type: ignore[method-assign]


def get_answers(app: Flask) -> Answers:
    """Return the cache of an application."""
    installed: Answers = app.extensions[_EXTENSION]
    return installed


def kept(view: View, *, is_confidential: bool = False) -> View:
    """Decorate a view: cache its response until one of its inputs changes.

    :param is_confidential: whether clients must not keep the response: `no-store` and no ETag.
    """

    @wraps(view)
    def answer(*args: Any, **kwargs: Any) -> Response:
        return get_answers(current_app).respond(
            lambda: view(*args, **kwargs), is_confidential=is_confidential
        )

    return cast(View, answer)


def bypass_flask(write: Callable[[], bytes]) -> None:
    """Answer later requests with the key of the current one with its headers and a new body.

    That is done for requests without a query, and for the content codings of _ENCODERS.

    :param write: returns the body; called outside of a request.
    """
    environ = request.environ
    if _IS_PLAIN in environ and environ[_ACCEPTED] in _ENCODERS and not request.query_string:
        environ[_ANSWER] = Answer(request.path, b"", [], None, Dependencies(()), write)


def _write_encoded(write: Callable[[], bytes], encode: Callable[[bytes], bytes]) -> bytes:
    return encode(write())


def _gzip(data: bytes) -> bytes:
    """Compress at level 1, in a third of the time of flask-compress."""
    compressor = zlib.compressobj(1, wbits=_GZIP_BITS, memLevel=_GZIP_MEMORY)
    return compressor.compress(data) + compressor.flush()


_ENCODERS: dict[str, Callable[[bytes], bytes]] = {"": bytes, "gzip": _gzip}


def _compute(view: Callable[[], Any], look: Look | None) -> tuple[Response, Inputs]:
    """Return the response of a view and the inputs that it read.

    The view is called again, up to _TRIES times, if a file changed while it ran.

    :param look: the look in which a change was found, to be continued; None for a new one.
    """
    for attempt in range(_TRIES):
        with looking_again(look if attempt == 0 else None), recording() as recorded:
            response = current_app.make_response(view())
            context.complete_headers(response)
        inputs = recorded.inputs
        settled = tuple(pair for pair in inputs if not isinstance(pair[1], Unsettled))
        with looking():
            if are_current(settled):
                break
    return response, inputs


def _answer(response: Response, inputs: Inputs, is_confidential: bool) -> Answer:
    body = response.get_data()
    etag = None if is_confidential else _make_etag(body, response.headers.get(CURSOR_HEADER, ""))
    rule = request.url_rule.rule if request.url_rule else request.path
    if etag is not None:
        response.headers.setdefault("Cache-Control", _CACHING)
    del response.headers["Content-Length"]  # Flask computes it, also for a compressed body
    return Answer(rule, body, response.headers.to_wsgi_list(), etag, Dependencies(inputs))


def _make_etag(body: bytes, cursor: str) -> str:
    """Return the ETag of a body and of the header that, unlike others, may be absent.

    A client keeps the headers of the response that it has if a 304 does not repeat them.
    """
    digest = hashlib.blake2b(body, digest_size=16)
    digest.update(cursor.encode())
    return digest.hexdigest()


def _body_of(form: _Form) -> bytes | None:
    """Return the body of a form; None if `write` fails: Flask meets that too, and answers 500."""
    if form.write is None:
        return form.body
    with suppress(Exception):
        return form.write()
    return None


def _send(
    form: _Form, body: bytes, known: str | None, scopes: str, start_response: Any
) -> Iterable[bytes]:
    """Send a body with the headers of a form; 304 without it if the client's ETag matches.

    :param known: the request's If-None-Match header.
    """
    headers = [
        *form.headers,
        ("Content-Length", str(len(body))),
        (REQUEST_ID_HEADER, logging_setup.request_id()),
    ]
    if scopes:
        headers.append((SCOPES_HEADER, scopes))
    if known and form.etag and parse_etags(known).contains_weak(form.etag):
        start_response(
            "304 NOT MODIFIED", [one for one in headers if one[0].lower() not in _OF_A_BODY]
        )
        return []
    start_response("200 OK", headers)
    return [body]


def _is_plain(environ: Environ) -> bool:
    """Return whether the response depends only on the URL, the coding and _HEADER_OF_PATH."""
    return (
        environ["REQUEST_METHOD"] == "GET"
        and "HTTP_ORIGIN" not in environ
        and "HTTP_RANGE" not in environ
        and not environ.get("CONTENT_LENGTH")
        and "HTTP_TRANSFER_ENCODING" not in environ
    )


def _key(environ: Environ) -> Key:
    path = environ.get("PATH_INFO", "")
    header = _HEADER_OF_PATH.get(path)
    value = environ.get(header) if header else None
    query = environ.get("QUERY_STRING", "")
    return environ.get("SCRIPT_NAME", ""), path, query, value, _limit(environ)


def _limit(environ: Environ) -> frozenset[str] | None:
    """Return the projects that the user may see, after authentication; None for all."""
    return get_identity_in(environ).projects


@lru_cache(maxsize=256)
def _coding(header: str) -> str:
    """Return the preferred content coding of an Accept-Encoding header; empty for identity."""
    accepted = parse_accept_header(header.lower())
    best = max(_CODINGS, key=accepted.quality)
    return best if 0 < accepted.quality(best) >= accepted.quality("identity") else ""
