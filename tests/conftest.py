"""Fixtures of several rooms. Imports stay inside, so that a unit test does not load Dagster."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep together what shares a fixture, when several processes run the tests.

    One process makes the built state folder and runs all that read it; other files stay whole.
    """
    for item in items:
        shared = "built" if "built" in getattr(item, "fixturenames", ()) else item.path.name
        item.add_marker(pytest.mark.xdist_group(shared))


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory):
    """Settings of a state folder with everything made from a tenth of the data; only read it."""
    from pipeline import build

    return build(tmp_path_factory.mktemp("built") / "home")
