"""The wheel, built once for all tests that install it."""

from pathlib import Path

import pytest

from tests.wheel import build, copy_source


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of what the wheel is built from."""
    tree = tmp_path_factory.mktemp("source")
    copy_source(tree)
    return tree


@pytest.fixture(scope="session")
def wheel(source: Path) -> Path:
    """Return the wheel of the checkout as it is."""
    return build(source)
