"""The page and its files over HTTP; how it behaves is in `tests/browser`."""

import gzip
import re

import pytest
from flask.testing import FlaskClient

from loki_web.dashboard.assets import imported
from loki_web.dashboard.page import FIRST_DATA, HERE, policy
from tests.support.places import Place

STATIC = HERE / "static"
MOST_BYTES = 60_000
MOST_BYTES_OF_A_VIEW = 10_000
MOST_REQUESTS = 16
LONGEST_LINE = 120


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


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_a_file_is_compressed_once_and_kept(client: FlaskClient, coding: str) -> None:
    name = next(name for name in asset_names(client) if name.endswith("app.js"))
    plain = client.get(f"/{name}")
    first = client.get(f"/{name}", headers={"Accept-Encoding": coding})
    again = client.get(f"/{name}", headers={"Accept-Encoding": coding})
    assert first.headers["Content-Encoding"] == coding
    assert first.data == again.data != plain.data
    assert first.headers["Cache-Control"] == plain.headers["Cache-Control"]
    assert "Accept-Encoding" in first.headers["Vary"]
    if coding == "gzip":
        assert gzip.decompress(first.data) == plain.data


def test_head_and_conditional_requests_for_a_file(client: FlaskClient) -> None:
    name = next(name for name in asset_names(client) if name.endswith("app.js"))
    answer = client.get(f"/{name}")
    head = client.head(f"/{name}")
    assert (head.status_code, head.data) == (200, b"")
    for header in ("ETag", "Content-Type", "Content-Length", "Cache-Control"):
        assert head.headers[header] == answer.headers[header]
    known = client.get(f"/{name}", headers={"If-None-Match": answer.headers["ETag"]})
    assert (known.status_code, known.data) == (304, b"")


def test_modules_are_served_as_they_are_written(client: FlaskClient) -> None:
    version = asset_names(client)[0].split("/")[1]
    for path in STATIC.rglob("*.js"):
        name = path.relative_to(STATIC).as_posix()
        assert client.get(f"/assets/{version}/{name}").data == path.read_bytes(), name


def test_no_line_of_a_script_is_too_long() -> None:
    assert [
        f"{path.name}:{number}"
        for path in STATIC.rglob("*.js")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if len(line) > LONGEST_LINE
    ] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import { a } from './b.js';", ["js/b.js"]),
        ("import {\n  a,\n  c as d,\n} from '../b.js';", ["b.js"]),
        ("import * as b from './core/b.js';\nexport const a = 1;", ["js/core/b.js"]),
        ("import './b.js';", ["js/b.js"]),
        ("export { a } from './b.js';", ["js/b.js"]),
        ("export * from './b.js';", ["js/b.js"]),
        ("// import { a } from './b.js';", []),
        ("const b = () => import('./b.js');", []),
        ("export const a = './b.js';", []),
        ("import { a } from './b.js';\nimport { c } from './b.js';", ["js/b.js"]),
        ("import { a } from './first.js';", []),
        ("import { a } from './missing.js';", []),
    ],
)
def test_static_imports_are_preloaded(text: str, expected: list[str]) -> None:
    texts = {"js/first.js": text, **dict.fromkeys(("js/b.js", "b.js", "js/core/b.js"), "")}
    assert imported(texts, ["js/first.js"]) == ["js/first.js", *expected]


def test_modules_that_import_each_other_are_preloaded_once() -> None:
    texts = {"a.js": "import { b } from './b.js';", "b.js": "import { a } from './a.js';"}
    assert imported(texts, ["a.js"]) == ["a.js", "b.js"]


@pytest.mark.parametrize(("required", "count"), [("true", 0), ("false", len(FIRST_DATA) + 1)])
def test_data_is_preloaded_if_no_token_is_needed(place: Place, required: str, count: int) -> None:
    page = place.client(LOKI_ENTERPRISE_AUTH=required).get("/").get_data(as_text=True)
    assert page.count('<link rel="preload" as="fetch"') == count


def test_data_is_preloaded_of_the_project_in_the_address(client: FlaskClient) -> None:
    page = client.get('/?project="a%26b"').get_data(as_text=True)
    named = "project=%22a%26b%22"
    assert f'href="api/status?{named}"' in page
    assert f'href="api/notifications?limit=1000&amp;{named}"' in page
    assert page.count(named) == len(FIRST_DATA)
    assert "project=" not in client.get("/").get_data(as_text=True)


def compressed(place: Place) -> dict[str, int]:
    """What each file of the page takes on the wire, in bytes."""
    known = place.app().extensions["loki_web.dashboard"]
    files = {"index.html": known.index, **known.files}
    return {name: len(gzip.compress(file.content)) for name, file in files.items()}


def test_the_page_with_its_first_view_is_small(client: FlaskClient, place: Place) -> None:
    sizes = compressed(place)
    loaded = {name.split("/", 2)[2] for name in asset_names(client)} | {"index.html"}
    assert sum(sizes[name] for name in loaded) < MOST_BYTES
    assert len(loaded) <= MOST_REQUESTS


def test_every_other_view_adds_little(place: Place) -> None:
    added: dict[str, int] = {}
    for name, size in compressed(place).items():
        if name.startswith("js/views/"):
            view = name.removeprefix("js/views/").removesuffix(".js").partition("_")[0]
            added[view] = added.get(view, 0) + size
    assert len(added) == 16
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
def test_other_paths_of_assets_are_not_found(client: FlaskClient, path: str) -> None:
    version = asset_names(client)[0].split("/")[1]
    answer = client.get(path.format(version=version))
    assert answer.status_code == 404
    assert answer.get_json() == {"detail": "Not found"}


@pytest.mark.parametrize("query", ["", "?project=a%20b"])
def test_without_a_slash_at_its_end_a_prefix_gets_one(client: FlaskClient, query: str) -> None:
    answer = client.get(
        query, base_url="http://localhost/loki", environ_overrides={"PATH_INFO": ""}
    )
    assert answer.status_code in (301, 308)
    assert answer.headers["Location"].endswith(f"/loki/{query}")


def test_no_two_views_have_the_same_key() -> None:
    text = (STATIC / "js/core/views.js").read_text()
    keys = re.findall(r"\bkey: '(.)'", text)
    assert len(keys) > 10
    assert len(set(keys)) == len(keys)
