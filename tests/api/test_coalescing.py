"""Values that are computed once for all requests that wait."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from loki_web.web.coalescing import Coalescer
from tests.support.waiting import PATIENCE_SECONDS


def test_requests_that_wait_share_one_value_and_later_ones_get_another() -> None:
    coalescer = Coalescer(count().__next__)
    first, second = coalescer.join(), coalescer.join()
    assert (coalescer.wait(first), coalescer.wait(second)) == (0, 0)
    assert (coalescer(), coalescer()) == (1, 2)


def test_a_request_gets_no_value_whose_computation_had_begun_before_it() -> None:
    state, begun, goes_on = ["old"], threading.Event(), threading.Event()

    def compute() -> str:
        value = state[0]
        begun.set()
        assert goes_on.wait(PATIENCE_SECONDS)
        return value

    coalescer, values = Coalescer(compute), list[str]()
    other = threading.Thread(target=lambda: values.append(coalescer()))
    other.start()
    assert begun.wait(PATIENCE_SECONDS)
    state[0] = "new"
    waiting = coalescer.join(), coalescer.join()
    goes_on.set()
    assert {coalescer.wait(each) for each in waiting} == {"new"}
    other.join()
    assert values == ["old"]


def test_an_error_is_raised_once_and_others_of_the_batch_try_again() -> None:
    results: Iterator[ValueError | str] = iter([ValueError("damaged"), "value"])

    def compute() -> str:
        result = next(results)
        if isinstance(result, ValueError):
            raise result
        return result

    coalescer = Coalescer(compute)
    first, second = coalescer.join(), coalescer.join()
    with pytest.raises(ValueError, match="damaged"):
        coalescer.wait(first)
    assert coalescer.wait(second) == "value"


def test_a_try_after_an_error_leaves_the_next_batch_open() -> None:
    results: Iterator[Callable[[], str]] = iter([fail, lambda: "again", lambda: "next"])
    coalescer = Coalescer(lambda: next(results)())
    first, second = coalescer.join(), coalescer.join()
    with pytest.raises(ValueError, match="damaged"):
        coalescer.wait(first)
    later = coalescer.join()
    assert coalescer.wait(second) == "again"
    assert coalescer.join() is later
    assert coalescer.wait(later) == "next"


def fail() -> str:
    raise ValueError("damaged")


def test_a_value_that_is_there_does_not_wait_for_a_later_computation() -> None:
    numbers, begun, goes_on = count(), threading.Event(), threading.Event()

    def compute() -> int:
        number = next(numbers)
        if number == 1:
            begun.set()
            assert goes_on.wait(PATIENCE_SECONDS)
        return number

    coalescer = Coalescer(compute)
    batch = coalescer.join()
    assert coalescer.wait(batch) == 0
    with ThreadPoolExecutor(1) as threads:
        later = threads.submit(coalescer)
        assert begun.wait(PATIENCE_SECONDS)
        assert coalescer.wait(batch) == 0
        assert not later.done()
        goes_on.set()
        assert later.result() == 1
