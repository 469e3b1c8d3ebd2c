"""No response contains a token that is in a file, in any field or line."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from loki_web.live.feed.channels import CHANNELS
from tests.property.test_damage import read_files, record_every_file
from tests.support import answers
from tests.support.places import Place

SECRET = "ghp_Zq7Xv2Lm9Rt4Wy8Kb3Nc6Hd1Jf5Gs0Pa"
# A change of these leaves entries out or moves them: each is tried by itself.
_ALONE = ("id", "status", "type", "timestamp", "path", "session_id", "action", "provider", "name")
_GROUPS = 8
# Addresses: a client names an entry by its id, and a project by its path, as it is shown.
_ADDRESSES = {
    "id": (
        "/api/tasks",
        "/api/notifications",
        "/api/notifications/triggers",
        "/api/registry/tasks",
    ),
    "path": ("/api/registry/",),
}
_ADDRESS_CHANNELS = {"id": ("tasks", "notifications"), "path": ("projects",)}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, sleeper: int) -> Place:
    return record_every_file(tmp_path_factory.mktemp("secrets") / "p", sleeper)


@pytest.fixture(scope="module")
def client(place: Place) -> FlaskClient:
    return place.client(LOKI_ENTERPRISE_AUDIT="true")


@pytest.fixture(scope="module")
def addresses(client: FlaskClient) -> list[str]:
    """Every documented GET, and `/metrics`."""
    found = [path for one in answers.gets() for path in answers.addresses(client.get, one)]
    return [*found, "/metrics"]


@pytest.mark.slow
def test_a_token_in_any_field(place: Place, client: FlaskClient, addresses: list[str]) -> None:
    files = {path: path.read_bytes() for path in read_files(place)}
    documents = {path: list(_documents(content)) for path, content in files.items()}
    names = {name for found in documents.values() for one in found for name in _names(one)}
    assert len(names) > 100
    others = sorted(names.difference(_ALONE))
    for group in (*([name] for name in _ALONE), *(others[i::_GROUPS] for i in range(_GROUPS))):
        for path, found in documents.items():
            changed = [_with_secret(one, set(group)) for one in found]
            if changed != found:
                path.write_text("\n".join(map(json.dumps, changed)))
        assert shown(place, client, addresses, group) == []
        for path, content in files.items():
            path.write_bytes(content)


def test_a_token_in_every_line_of_text(
    place: Place, client: FlaskClient, addresses: list[str]
) -> None:
    files = {path: path.read_bytes() for path in read_files(place)}
    texts = [path for path in files if path.suffix in (".log", ".md", ".txt", "")]
    assert len(texts) > 20
    for path in texts:
        lines = files[path].decode(errors="replace").splitlines()
        path.write_text("\n".join(f"{line} {SECRET}" for line in lines))
    assert shown(place, client, addresses, []) == []
    for path, content in files.items():
        path.write_bytes(content)


def shown(place: Place, client: FlaskClient, addresses: list[str], names: list[str]) -> list[str]:
    """The addresses and channels of the live feed that show the token."""
    allowed = tuple(start for name in names for start in _ADDRESSES.get(name, ()))
    found = [path for path in addresses if SECRET in client.get(path).get_data(as_text=True)]
    return [path for path in found if not (allowed and path.startswith(allowed))] + [
        channel
        for channel, text in _told(place)
        if SECRET in text and not any(channel in _ADDRESS_CHANNELS.get(name, ()) for name in names)
    ]


def _told(place: Place) -> Iterator[tuple[str, str]]:
    sources = place.sources()
    for name, channel in CHANNELS.items():
        one = channel(sources, lambda: sources)
        one.refresh()
        yield name, repr([message.data for message in (*one.current(), *one.whole())])


def _documents(content: bytes) -> Iterator[Any]:
    """The JSON of a file, or of each of its lines."""
    for text in (content, *content.splitlines()):
        try:
            value = json.loads(text)
        except ValueError:
            continue
        yield value
        if text is content:
            return


def _names(value: Any, name: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _names(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from _names(item, name)
    elif isinstance(value, str):
        yield name


def _with_secret(value: Any, names: set[str], name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _with_secret(item, names, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_secret(item, names, name) for item in value]
    return f"{value} {SECRET}" if isinstance(value, str) and name in names else value
