"""Fixtures of several rooms. Imports stay inside, so that a unit test does not load Dagster."""

import pytest


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory):
    """Settings of a state folder with everything made from a tenth of the data; only read it."""
    from pipeline import build

    return build(tmp_path_factory.mktemp("built") / "home")
