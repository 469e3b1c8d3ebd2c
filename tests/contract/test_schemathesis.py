"""Whatever a client sends, answers are as the OpenAPI document says they are."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import places
from tests.support.servers import serving

CONFIG = Path(__file__).parent / "schemathesis.toml"


@pytest.mark.slow
def test_every_check_of_schemathesis_passes(tmp_path: Path) -> None:
    place = places.recorded(tmp_path / "p", today=True)
    with serving(place, workers=2, LOKI_ENTERPRISE_AUDIT="true") as server:
        done = subprocess.run(
            [
                *(str(Path(sys.executable).with_name("schemathesis")), f"--config-file={CONFIG}"),
                *("run", f"{server.url}/openapi.json", "--max-examples=20"),
                *("--workers=1", "--seed=1"),
            ],
            cwd=tmp_path, capture_output=True, text=True, timeout=250,
        )  # fmt: skip
        failed = [line for line in server.errors if "failed" in line or "Traceback" in line]
    assert done.returncode == 0, done.stdout[-6000:]
    assert not failed
