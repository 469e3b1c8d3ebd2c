"""The page and its files over HTTP; how it behaves is in `tests/browser`."""

import gzip
import re

import pytest
from flask.testing import FlaskClient

from loki_web.dashboard.page import policy
from tests.support.places import Place

MOST_BYTES = 45_000
MOST_BYTES_OF_A_VIEW = 8_000


def asset_names(client: FlaskClient) -> list[str]:
    page = client.get("/").get_data(as_text=True)
    return re.findall(r'(?:href|src)="(assets/[^"]+)"', page)


def test_the_page_is_asked_for_again_each_time_but_not_sent_twice(client: FlaskClient) -> None:
    first = client.get("/")
    assert first.status_code == 200
    assert first.content_type == "text/html; charset=utf-8"
    assert first.headers["Cache-Control"] == "no-cache"
    again = client.get("/", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    assert "Content-Security-Policy" in again.headers


@pytest.mark.parametrize(
    "rule",
    [
        *("default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'"),
        "connect-src 'self' ws://localhost wss://localhost",
        *("require-trusted-types-for 'script'", "trusted-types 'none'"),
        *("frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"),
    ],
)
def test_the_policy_allows_little(client: FlaskClient, rule: str) -> None:
    rules = client.get("/").headers["Content-Security-Policy"].split("; ")
    assert rule in rules


@pytest.mark.parametrize("host", ["a b", "a; script-src *", "a,b", ""])
def test_a_strange_host_does_not_get_into_the_policy(host: str) -> None:
    assert "connect-src 'self';" in policy(host)


def test_the_page_has_no_inline_script_or_style(client: FlaskClient) -> None:
    page = client.get("/").get_data(as_text=True)
    assert re.findall(r"<script(?![^>]* src=)", page) == []
    assert "<style" not in page
    assert re.findall(r'\s(?:style|on\w+)="', page) == []


def test_every_file_that_the_page_names_is_there_for_ever(client: FlaskClient) -> None:
    names = asset_names(client)
    assert len(names) >= 4
    for name in names:
        answer = client.get(f"/{name}")
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"


def test_files_are_compressed(client: FlaskClient) -> None:
    name = next(name for name in asset_names(client) if name.endswith("page.js"))
    plain = client.get(f"/{name}").data
    answer = client.get(f"/{name}", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(answer.data) == plain


def compressed(place: Place) -> dict[str, int]:
    """What each file of the page takes on the wire, in bytes."""
    known = place.app().extensions["loki_web.dashboard"]
    files = {"index.html": known.index, **known.files}
    return {name: len(gzip.compress(file.content)) for name, file in files.items()}


def test_the_page_with_its_first_view_is_small(place: Place) -> None:
    sizes = compressed(place)
    on_demand = ("js/views/", "js/extra/")
    loaded = {name for name in sizes if not name.startswith(on_demand)} | {"js/views/now.js"}
    assert sum(sizes[name] for name in loaded) < MOST_BYTES


def test_every_other_view_adds_little(place: Place) -> None:
    added: dict[str, int] = {}
    for name, size in compressed(place).items():
        if name.startswith("js/views/"):
            view = name.removeprefix("js/views/").removesuffix(".js").partition("_")[0]
            added[view] = added.get(view, 0) + size
    assert len(added) == 12
    assert max(added.values()) < MOST_BYTES_OF_A_VIEW


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../../etc/passwd",
        "/assets/{version}/../../../../etc/passwd",
        "/assets/{version}/%2e%2e%2f%2e%2e%2f%2e%2e%2fetc/passwd",
        "/assets/{version}/%252e%252e%252f%252e%252e%252fetc/passwd",
        "/assets/{version}/..\\..\\..\\etc\\passwd",
        "/assets/{version}//etc/passwd",
        "/assets/{version}/js/../../assets.py",
        "/assets/{version}/index.html",
        "/assets/{version}/js",
        "/assets/{version}/",
        "/assets/{version}",
        "/assets/",
        "/assets/0000000000000000/style.css",
    ],
)
def test_nothing_else_is_served(client: FlaskClient, path: str) -> None:
    version = asset_names(client)[0].split("/")[1]
    answer = client.get(path.format(version=version))
    assert answer.status_code == 404
    assert answer.get_json() == {"detail": "Not found"}


def test_without_a_slash_at_its_end_a_prefix_gets_one(client: FlaskClient) -> None:
    answer = client.get("", base_url="http://localhost/loki", environ_overrides={"PATH_INFO": ""})
    assert answer.status_code in (301, 308)
    assert answer.headers["Location"].endswith("/loki/")
