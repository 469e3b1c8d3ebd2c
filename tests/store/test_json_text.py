"""Tolerant parsing of files and strict parsing of requests."""

import codecs
import json
from typing import Any

import pytest

from loki_web.store.json_text import MAX_DEPTH, Damaged, dump, dump_line, parse, parse_strict

UTF_16 = ("utf-16", "utf-8-sig")


def nested(depth: int, mark: bytes = b"[") -> bytes:
    return mark * depth + b"1" + {b"[": b"]", b'{"a":': b"}"}[mark] * depth


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'{"a": NaN, "b": 2}', {"a": None, "b": 2}),
        (b'{"a": [Infinity, -Infinity, 1]}', {"a": [None, None, 1]}),
        (b'{"a": 1e999, "b": -1e999, "c": 1e-999}', {"a": None, "b": None, "c": 0}),
        (b'{"a": "x\\ud800y"}', {"a": "x\ufffdy"}),
        (b'{"\\udc00": 1}', {"\ufffd": 1}),
        (b'{"a": "\\ud83d\\ude00"}', {"a": "\U0001f600"}),
        (b'{"a": "x\xffy"}', {"a": "x\ufffdy"}),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b"[" + b"9" * 5000 + b", 1]", [None, 1]),
        (b"[123456789012345678901234567890]", [123456789012345678901234567890.0]),
        (b"[18446744073709551615, -9223372036854775808]", [2**64 - 1, -(2**63)]),
        (b"  5  ", 5),
        *(('{"a": "\u00e4\U0001f600"}'.encode(form), {"a": "\u00e4\U0001f600"}) for form in UTF_16),
        (codecs.BOM_UTF16_BE + '{"a": 1}'.encode("utf-16-be"), {"a": 1}),
        ('{"a": "x"}'.encode("utf-16")[:-4] + b'\0\xd8"\0}\0', {"a": "x\ufffd"}),
    ],
)
def test_malformed_json_is_repaired(data: bytes, value: Any) -> None:
    parsed = parse(data)
    assert parsed == value
    json.dumps(parsed, allow_nan=False).encode()


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b" ", b"{", b"[1,", b'{"a": }', b"{}{}", b"{'a': 1}", b"\0\0\0", b"\xff\xfe{\0"),
        *(b"[" * 100_000, b'{"a":' * 100_000, nested(MAX_DEPTH + 1), nested(100_000)),
        *(nested(MAX_DEPTH + 1, b'{"a":'), b"undefined", b"[1] trailing"),
    ],
    ids=range(16),
)
def test_json_that_cannot_be_repaired_is_damaged(data: bytes) -> None:
    with pytest.raises(Damaged):
        parse(data)
    with pytest.raises(Damaged):
        parse_strict(data)


@pytest.mark.parametrize("mark", [b"[", b'{"a":'])
def test_nesting_up_to_the_limit_is_allowed(mark: bytes) -> None:
    assert parse(nested(MAX_DEPTH, mark)) == parse_strict(nested(MAX_DEPTH, mark))


@pytest.mark.parametrize(
    "data",
    [
        *(b'{"a": NaN}', b"[Infinity]", b"[-Infinity]", b"[1e999]", b'["\\ud800"]', b'["\xff"]'),
        *(b'{"a": 1, "a": 1}', b"\xef\xbb\xbf{}", b"[" + b"9" * 5000 + b"]"),
    ],
)
def test_requests_are_parsed_strictly(data: bytes) -> None:
    with pytest.raises(Damaged):
        parse_strict(data)


def test_a_line_is_one_line() -> None:
    value = {"text": "a\r\nb\x1b\u2028\u0085", "\n": [1.5, None, True]}
    line = dump_line(value)
    assert line.count(b"\n") == 1
    assert line.isascii()
    assert parse(line) == parse(dump(value)) == value
