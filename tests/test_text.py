"""Names that others have to recognize."""

import pytest

from loki_web.text import is_name

GOOD = [
    "ci-bot",
    "Müller",
    "é",
    "e\u0301",
    "сервер",
    "λόγος",
    "テストserver",
    "部署 2",
    "naïve_1",
    "مشروع",
    "",
]
BAD = {
    "zero-width space": "ad\u200bmin",
    "zero-width joiner": "ad\u200dmin",
    "byte order mark": "\ufeffadmin",
    "soft hyphen": "ad\u00admin",
    "override of the direction": "\u202enimda",
    "isolate": "\u2066admin\u2069",
    "line separator": "ad\u2028min",
    "no-break space": "ad\u00a0min",
    "filler": "ad\u3164min",
    "blank Braille": "ad\u2800min",
    "variation selector": "admin\ufe0f",
    "tag": "admin\U000e0041",
    "private use": "admin\ue000",
    "control": "ad\x07min",
    "surrogate": "ad\ud800min",
    "Cyrillic letter": "\u0430dmin",
    "Greek letter": "\u03bfps",
    "only look-alikes": "\u0441\u043e\u0440\u0435",
    "full-width": "\uff41dmin",
    "mathematical": "\U0001d41admin",
    "ligature": "pro\ufb01le",
}


@pytest.mark.parametrize("name", GOOD)
def test_names_in_any_language_are_names(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize("name", BAD.values(), ids=BAD)
def test_a_text_that_looks_like_another_name_is_no_name(name: str) -> None:
    assert not is_name(name)
