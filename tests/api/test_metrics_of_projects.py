"""GET /metrics?project=: the metrics of another project, and of all with labels."""

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from loki_web.services import metrics
from tests.support import accounts
from tests.support.children import Children
from tests.support.places import Place
from tests.support.registered import add_project, entry, held, register

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scrape(client: FlaskClient, query: str) -> Samples:
    """Return the samples of the session by name and labels; none is there twice."""
    response = client.get(f"/metrics{query}")
    assert response.status_code == 200, response.get_data(as_text=True)
    families = text_string_to_metric_families(response.get_data(as_text=True))
    known = {each.name for each in (*metrics.DOCUMENTED, *metrics.MORE, metrics.PROJECTS)}
    found = [one for each in families for one in each.samples if one.name in known]
    samples = {(one.name, frozenset(one.labels.items())): one.value for one in found}
    assert len(samples) == len(found)
    return samples


def of_project(samples: Samples, identity: str) -> Samples:
    """Return the samples of one project, without the labels that say so."""
    return {
        (
            name,
            frozenset(pair for pair in labels if pair[0] not in ("project", "project_id")),
        ): value
        for (name, labels), value in samples.items()
        if ("project_id", identity) in labels
    }


@pytest.fixture
def other(place: Place) -> Place:
    project = add_project(place, 'über "x"')
    project.write("metrics/efficiency/iteration-3.json", {"cost_usd": 1.5, "input_tokens": 1})
    project.write("events.jsonl", '{"type": "a"}\n{"type": "b"}\n')
    return project


def test_a_project_has_the_same_numbers_alone_and_among_all(
    place: Place, client: FlaskClient, other: Place
) -> None:
    place.write("events.jsonl", '{"type": "a"}\n')
    for _ in range(2):
        alone = scrape(client, "?project=id-über+%22x%22")
        assert alone["loki_cost_usd", frozenset()] == 1.5
        assert alone["loki_events_total", frozenset()] == 2
        every = scrape(client, "?project=*")
        assert of_project(every, 'id-über "x"') == alone
        assert of_project(every, "") == scrape(client, "")
        assert scrape(client, "")["loki_events_total", frozenset()] == 1
        assert every["loki_projects", frozenset()] == 2
    other.write("metrics/efficiency/iteration-4.json", {"cost_usd": 1.5})
    every = scrape(client, "?project=*&name[]=loki_cost_usd")
    assert of_project(every, 'id-über "x"') == {("loki_cost_usd", frozenset()): 3.0}


def test_the_number_of_projects_with_samples_is_limited(
    place: Place, client: FlaskClient, children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "_MOST_PROJECTS", 2)
    projects = {name: add_project(place, name) for name in "abcd"}
    for name in "bd":
        projects[name].write("loki.pid", f"{children.sleeper().pid}\n")
    every = scrape(client, "?project=*")
    shown = {value for _, labels in every for key, value in labels if key == "project"}
    assert (shown, every["loki_projects", frozenset()]) == ({"b", "d"}, 5)


def hostile(place: Place) -> Iterator[str]:
    for text in ('a"}\nloki_up 5', "\\", "\u202e", "x" * 500):
        project = add_project(place, f"p{len(held(place))}")
        register(place, *held(place).values(), entry(project.loki.parent, id=text, name=text))
        yield text


def test_names_have_no_power_over_the_format(place: Place, client: FlaskClient) -> None:
    add_project(place, "first")
    count = len(list(hostile(place)))
    labels = {labels for name, labels in scrape(client, "?project=*") if name == "loki_cost_usd"}
    assert len(labels) == count + 2
    assert all(len(value) <= 240 for each in labels for _, value in each)


@pytest.mark.parametrize("name", ["unknown", "/etc", "%00", "**"])
def test_an_unknown_project_is_not_found(client: FlaskClient, other: Place, name: str) -> None:
    response = client.get(f"/metrics?project={name}")
    assert (response.status_code, list(response.get_json())) == (404, ["detail"])


def test_names_of_projects_are_not_public(place: Place, other: Place) -> None:
    client = place.client(LOKI_ENTERPRISE_AUTH="true", LOKI_METRICS_PUBLIC="true")
    accounts.store(place, accounts.entry("scraper", "metrics"))
    assert client.get("/metrics").status_code == 200
    for name in ("*", "id-x", ""):
        assert client.get(f"/metrics?project={name}").status_code == 401
    allowed = client.get("/metrics?project=*", headers=accounts.bearer("scraper"))
    assert "über" in allowed.get_data(as_text=True)
