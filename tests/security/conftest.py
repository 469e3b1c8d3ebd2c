from collections.abc import Iterator

import pytest

from tests.support.issuer import Issuer, running_issuer


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """A real OIDC issuer with one key."""
    with running_issuer() as found:
        yield found
