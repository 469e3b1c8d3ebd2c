"""Bodies that are computed once for all requests that wait."""

import threading
from collections.abc import Iterator
from itertools import count

import pytest

from loki_web.web.batches import Batches
from tests.support.waiting import PATIENCE_SECONDS


def test_requests_that_wait_share_one_value_and_later_ones_get_another() -> None:
    batches = Batches(count().__next__)
    first, second = batches.join(), batches.join()
    assert (batches.wait(first), batches.wait(second)) == (0, 0)
    assert (batches(), batches()) == (1, 2)


def test_a_request_gets_no_value_whose_computation_had_begun_before_it() -> None:
    state, begun, goes_on = ["old"], threading.Event(), threading.Event()

    def compute() -> str:
        value = state[0]
        begun.set()
        assert goes_on.wait(PATIENCE_SECONDS)
        return value

    batches, values = Batches(compute), list[str]()
    other = threading.Thread(target=lambda: values.append(batches()))
    other.start()
    assert begun.wait(PATIENCE_SECONDS)
    state[0] = "new"
    waiting = batches.join(), batches.join()
    goes_on.set()
    assert {batches.wait(each) for each in waiting} == {"new"}
    other.join()
    assert values == ["old"]


def test_an_error_is_raised_once_and_others_of_the_batch_try_again() -> None:
    results: Iterator[ValueError | str] = iter([ValueError("damaged"), "value"])

    def compute() -> str:
        result = next(results)
        if isinstance(result, ValueError):
            raise result
        return result

    batches = Batches(compute)
    first, second = batches.join(), batches.join()
    with pytest.raises(ValueError, match="damaged"):
        batches.wait(first)
    assert batches.wait(second) == "value"
