"""Ids in URLs, and ids for entries that have none."""

from typing import Any

import pytest

from loki_web.errors import BadRequest
from loki_web.services.ids import Identities, check_id


@pytest.mark.parametrize("value", ["a", "A-b_9", "x" * 128])
def test_an_id_of_letters_digits_hyphens_and_underscores_is_valid(value: str) -> None:
    assert check_id(value, "agent_id") == value


@pytest.mark.parametrize(
    "value", ["", "x" * 129, "a b", "..", "a/b", "a.json", "é", "a\n", "\0", "a\u200b"]
)
def test_another_id_is_refused_with_its_name(value: str) -> None:
    with pytest.raises(BadRequest, match="agent_id must be"):
        check_id(value, "agent_id")


@pytest.mark.parametrize(
    ("value", "is_usable"),
    [
        ("t1", True),
        (7, True),
        (0, True),
        ("", False),
        (" ", False),
        (True, False),
        (None, False),
        ([1], False),
        (1.5, False),
    ],
)
def test_texts_and_whole_numbers_are_usable_ids(value: Any, is_usable: bool) -> None:
    identity = Identities("task").assign(value, "a title")
    assert identity == str(value) if is_usable else identity.startswith("task-")


def test_generated_ids_depend_on_the_content_and_number_equal_entries() -> None:
    contents = [("a", "b"), ("ab",), ("a", "b"), ("a", "b")]
    identities, again = Identities("task"), Identities("task")
    first = [identities.assign(None, *content) for content in contents]
    assert [again.assign(None, *content) for content in contents] == first
    assert first[0] != first[1]
    assert first[2:] == [f"{first[0]}-2", f"{first[0]}-3"]
