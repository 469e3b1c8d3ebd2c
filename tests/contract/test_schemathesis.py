"""Whatever a client sends, answers are as the OpenAPI document says they are."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support import places
from tests.support.servers import serving

CONFIG = Path(__file__).parent / "schemathesis.toml"
WITH_PROJECT = "/api/status"
KNOWLEDGE = ("/api/memory", "/api/learning")
CHANGES = ("/api/registry", "/api/enterprise", "/api/notifications", "/api/council")
PARTS: dict[str, Callable[[str], bool]] = {
    "knowledge": lambda path: path.startswith(KNOWLEDGE),
    "changes": lambda path: path.startswith(CHANGES),
    "others": lambda path: not path.startswith((*KNOWLEDGE, *CHANGES)),
}


def select_paths(document: Any, is_selected: Callable[[str], bool]) -> Any:
    """Return the document with the selected paths; only one of them keeps `project`.

    All paths handle that parameter in the same way, and an unknown project is 404 before anything
    else of a request is checked.
    """
    document["paths"] = {
        path: item for path, item in document["paths"].items() if is_selected(path)
    }
    for path, item in document["paths"].items():
        for operation in [item, *(part for part in item.values() if isinstance(part, dict))]:
            if path != WITH_PROJECT and "parameters" in operation:
                operation["parameters"] = [
                    parameter
                    for parameter in operation["parameters"]
                    if parameter.get("name") != "project"
                ]
    return document


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_every_check_of_schemathesis_passes(tmp_path: Path, part: str) -> None:
    place = places.recorded(tmp_path / "p", today=True)
    with serving(place, workers=2, LOKI_ENTERPRISE_AUDIT="true") as server:
        document = tmp_path / "openapi.json"
        whole = server.get("/openapi.json").json()
        document.write_text(json.dumps(select_paths(whole, PARTS[part])))
        done = subprocess.run(
            [
                *(str(Path(sys.executable).with_name("schemathesis")), f"--config-file={CONFIG}"),
                *("run", str(document), f"--url={server.url}", "--max-examples=10"),
                *("--workers=1", "--seed=1"),
            ],
            cwd=tmp_path, capture_output=True, text=True, timeout=250,
        )  # fmt: skip
        failed = [line for line in server.errors if "failed" in line or "Traceback" in line]
    assert done.returncode == 0, done.stdout[-6000:]
    assert not failed
