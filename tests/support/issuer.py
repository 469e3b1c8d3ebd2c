"""An OIDC issuer on the loopback address: discovery, keys that can be changed, tokens to order."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from tests.support.waiting import PATIENCE_SECONDS

CLIENT = "loki-web"


class Key:
    """A signing key: `RS256`, `PS256`, `ES256` or `EdDSA`."""

    def __init__(self, key_id: str, algorithm: str = "RS256", *, says_algorithm: bool = True):
        self.key_id, self.algorithm = key_id, algorithm
        self.private: Any
        if algorithm.startswith(("RS", "PS")):
            self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            public = RSAAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        elif algorithm == "ES256":
            self.private = ec.generate_private_key(ec.SECP256R1())
            public = ECAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        else:
            self.private = ed25519.Ed25519PrivateKey.generate()
            public = OKPAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        public = {name: value for name, value in public.items() if name != "key_ops"}
        said = {"alg": algorithm} if says_algorithm else {}
        self.public = {**public, "kid": key_id, "use": "sig", **said}


@cache
def _first_key() -> Key:
    """The key of each issuer at first; making one takes a while."""
    return Key("first")


class Issuer:
    """:param answers: cleared, it holds every answer back until it is set.
    :param broken: answer what is no JSON.
    :ivar headers: those of each question.
    """

    def __init__(self) -> None:
        self.keys = [_first_key()]
        self.broken, self.asked = False, 0
        self.answers = threading.Event()
        self.answers.set()
        self.stated: str | None = None
        self.url = ""
        self.headers: list[dict[str, str]] = []

    def settings(self, **more: str) -> dict[str, str]:
        return {"LOKI_OIDC_ISSUER": self.url, "LOKI_OIDC_CLIENT_ID": CLIENT, **more}

    def token(
        self, key: Key | None = None, *, header: dict[str, Any] | None = None, **claims: Any
    ) -> str:
        """A token that holds, except for what is said otherwise; None leaves something out."""
        key = key or self.keys[0]
        now = int(time.time())
        usual = {"iss": self.url, "aud": CLIENT, "sub": "maria", "iat": now, "exp": now + 600}
        kept = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        headers = {"kid": key.key_id, **(header or {})}
        headers = {name: value for name, value in headers.items() if value is not None}
        return jwt.encode(kept, key.private, algorithm=key.algorithm, headers=headers)

    def answer(self, path: str) -> bytes:
        self.asked += 1
        self.answers.wait(PATIENCE_SECONDS)
        if self.broken:
            return b"<html>"
        if path == "/.well-known/openid-configuration":
            described = {"issuer": self.stated or self.url, "jwks_uri": f"{self.url}/keys"}
            return json.dumps(described).encode()
        return json.dumps({"keys": [key.public for key in self.keys]}).encode()


@contextmanager
def running_issuer() -> Iterator[Issuer]:
    issuer = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.headers.append(dict(self.headers))
            body = issuer.answer(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            with suppress(BrokenPipeError):  # who asked did not wait
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing on standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
