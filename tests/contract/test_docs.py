"""`/docs` as it is sent: a command and an example for each route, and no script but its own."""

import re
import shlex
from html import unescape

import pytest
from flask import Flask

from loki_web.live import asyncapi
from loki_web.web.api_docs import page
from loki_web.web.api_docs.operations import Operation, groups, messages
from loki_web.web.openapi import document
from tests.support.places import Place


@pytest.fixture
def app(place: Place) -> Flask:
    return place.app()


def operations(app: Flask) -> list[Operation]:
    with app.test_request_context():
        return [each for group in groups(document()) for each in group.operations]


def test_each_route_has_a_command_that_a_shell_understands(app: Flask) -> None:
    for each in operations(app):
        words = shlex.split(each.curl)
        assert words[0] == "curl"
        assert words[-1].startswith("$URL/")
        assert "{" not in words[-1]
        assert ("-X" in words) is (each.method != "GET")
        assert ("-d" in words) is (each.request is not None and each.request.example is not None)


def test_each_answer_and_message_has_an_example(app: Flask) -> None:
    for each in operations(app):
        answers = [answer for answer in each.answers if answer.status.startswith("2")]
        assert answers, each.id
        assert all(a.example is not None for a in answers if a.status != "204"), each.id
    for message in messages(asyncapi.document("")):
        assert message.example["type"] == message.name


def test_the_page_runs_only_its_own_script(app: Flask) -> None:
    answer = app.test_client().get("/docs")
    policy, text = answer.headers["Content-Security-Policy"], answer.get_data(as_text=True)
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "require-trusted-types-for 'script'" in policy
    assert re.findall(r"<script[^>]*>", text) == ['<script src="/docs/static/docs.js" defer>']
    assert not re.search(r"""\son\w+=|style=|javascript:""", text)
    assert "`" not in unescape(text)
    assert app.test_client().get("/docs/static/docs.js").mimetype == "text/javascript"


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("Set `A` or `B`.", "Set <code>A</code> or <code>B</code>."),
        ("`<b>` & <i>", "<code>&lt;b&gt;</code> &amp; &lt;i&gt;"),
        ("first\nline\n\nsecond", "first line<br><br>second"),
        ("a ` alone", "a ` alone"),
        ("", ""),
    ],
)
def test_texts_become_html(text: str, marked: str) -> None:
    assert page.mark(text) == marked
