"""Options of the whole suite. Being here, it also makes ``from tests.builders import a_host`` work everywhere."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# A machine that judges a change tries the same stories each time; people's runs go on looking for new ones.
settings.register_profile("judged", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("judged")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--refresh-golden",
        action="store_true",
        help="write the golden bodies and generated pages anew instead of comparing; review the difference",
    )


@pytest.fixture(scope="session")
def refresh_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--refresh-golden"))
