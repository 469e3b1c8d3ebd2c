"""References in the code lead to what exists: sections of docs/files.md, and other documents."""

import re
from pathlib import Path

import pytest

from loki_web.services import warming
from tests.support.places import Place
from tests.support.registered import add_project

ROOT = Path(__file__).parent.parent
SOURCES = [
    *ROOT.glob("*.py"),
    *(ROOT / "loki_web").rglob("*.py"),
    *(ROOT / "loki_web" / "dashboard").rglob("*.js"),
    *(ROOT / "benchmarks").rglob("*.py"),
    *(ROOT / "docs").rglob("*.md"),
    *ROOT.glob("*.md"),
    *(path for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)),
]
HEADING = re.compile(r"^#+ (\d+(?:\.\d+)?) ", re.MULTILINE)
NUMBERS = r"\d+(?:\.\d+)?(?:(?:,| and| to)\s+\d+(?:\.\d+)?)*"
SECTIONS = re.compile(rf"\bsections?\s+({NUMBERS})")
NAMED = re.compile(rf"\b(?:docs/)?files\.md,\s+sections?\s+({NUMBERS})")
DOCUMENT = re.compile(r"\bdocs/(?!PRD)[\w/.-]+\.md\b")  # docs/PRD.md belongs to projects
LINKED = re.compile(r"\[[^\]]*files\.md, section (\d+(?:\.\d+)?)\]\([^)]*#s([\d-]+)\)")


def headings() -> set[str]:
    return set(HEADING.findall((ROOT / "docs" / "files.md").read_text(encoding="utf-8")))


def read(path: Path) -> str:
    """Return a text with wrapped comments joined."""
    return re.sub(r"\s*\n\s*(?:#|//|\*)?\s*", " ", path.read_text(encoding="utf-8"))


def numbers(pattern: re.Pattern[str], text: str) -> set[str]:
    return {number for match in pattern.findall(text) for number in re.findall(r"[\d.]+", match)}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


REFERRING = [path for path in SOURCES if NAMED.search(read(path))]


@pytest.mark.parametrize("path", REFERRING, ids=name)
def test_sections_of_files_md_exist(path: Path) -> None:
    # A file that refers to files.md also uses short forms: "(section 17)".
    pattern = SECTIONS if path.suffix == ".py" else NAMED
    assert numbers(pattern, read(path)) <= headings()


def test_the_code_refers_to_sections() -> None:
    assert len(REFERRING) > 30


def test_links_to_sections_have_the_number_of_their_text() -> None:
    links = [link for path in SOURCES for link in LINKED.findall(read(path))]
    assert links
    assert [(number, number.replace(".", "-")) for number, _ in links] == links


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if DOCUMENT.search(read(path))], ids=name
)
def test_documents_that_are_named_exist(path: Path) -> None:
    named = set(DOCUMENT.findall(read(path)))
    assert {document for document in named if not (ROOT / document).is_file()} == set()


def test_sections_inside_files_md_exist() -> None:
    text = read(ROOT / "docs" / "files.md")
    assert numbers(SECTIONS, text) <= headings()


def test_each_file_of_the_cache_folder_is_described(session: Place) -> None:
    add_project(session, "other").write("events.jsonl", "{}\n")
    session.write_home("dashboard/audit/audit-2026-02-01.jsonl", "{}\n")
    settings = {"LOKI_ENTERPRISE_AUDIT": "true", "LOKI_CONTROL_RATE_LIMIT": "60"}
    client = session.client(**settings)
    for path in ("/metrics", "/metrics?project=id-other", "/api/enterprise/audit/summary?days=365"):
        assert client.get(path).status_code == 200, path
    assert (
        client.post("/api/focus", json={"project_dir": str(session.loki.parent)}).status_code < 300
    )
    warming.warm(session.sources(**settings))
    (folder,) = (session.home / ".cache/loki-web").iterdir()
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    text = (ROOT / "docs/files.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[^|]+) \|", text.partition('id="s19"')[2].partition("<a id")[0], re.M)
    described = [name for row in rows for name in re.findall(r"`([^`]+)`", row)]
    patterns = [re.sub("<[^>]+>", "[^/]+", re.escape(name)) for name in described]
    known = re.compile(rf"({'|'.join(patterns)})(\.lock|-journal)?")
    assert {"focus", "event-total"} <= names
    assert [name for name in sorted(names) if not known.fullmatch(name)] == []
