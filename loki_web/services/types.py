"""Types of answers that several services give. The others are beside the function that builds them.

A key is `NotRequired` if it is optional in the schema of the answer: clients must not rely on it.
`tests/contract/test_answer_types.py` compares every type with its schema.
"""

from typing import TypedDict


class SuccessDict(TypedDict):
    """Whether a change was made, and a sentence about it."""

    success: bool
    message: str
