"""Who wants the audit log to lie: forged lines, and refusals until the history is gone."""

import json

import pytest

from loki_web.audit.verify import verify_log
from loki_web.web.audit_hook import MAX_REFUSALS
from tests.support.accounts import bearer, everybody
from tests.support.places import Place

FORGED = '{"timestamp":"2026-01-01T00:00:00+00:00","action":"stop","user_id":"somebody else"}'


def lines(place: Place) -> list[str]:
    found = sorted((place.home / ".loki/dashboard/audit").glob("audit-*.jsonl"))
    return [line for path in found for line in path.read_text().split("\n") if line]


@pytest.mark.parametrize("ending", ["%0a", "%0d%0a", "%e2%80%a8", "%c2%85", "%1b[2K", "%00"])
def test_no_sent_text_makes_a_line_of_its_own(place: Place, ending: str) -> None:
    everybody(place)
    client = place.client(LOKI_ENTERPRISE_AUTH="true")
    path = f"/api/agents/a{ending}{FORGED.replace('%', '%25')}{ending}/kill"
    client.post(path, headers={**bearer("operator"), "User-Agent": f"x\t{FORGED}"})
    client.post(path)
    entries = [json.loads(line) for line in lines(place)]
    assert all(entry["user_id"] in ("operator", "anonymous") for entry in entries)
    assert all(entry["details"]["source"] == "api" for entry in entries)
    assert verify_log(place.sources()).ok


@pytest.mark.slow
def test_refusals_of_one_address_have_a_bound(place: Place) -> None:
    client = place.client(LOKI_ENTERPRISE_AUTH="true")
    for _ in range(2 * MAX_REFUSALS):
        assert client.post("/api/control/stop").status_code == 401
    assert len(lines(place)) <= MAX_REFUSALS
