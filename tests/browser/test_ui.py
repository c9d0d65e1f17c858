"""The real UI in a real browser: the lineage, a gate that passed, one that failed, the report.

Here belongs only what can be judged nowhere but on the screen. What a run makes and refuses is
tested without a browser (`integration/test_pipeline.py`); the report's numbers in `unit/`.
Screenshots stay in `.pytest_cache/d/screenshots`.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from pipeline import add_purchases, copied, run
from playwright.sync_api import Browser, Page, expect, sync_playwright

from dagster_project.refresh import RefreshError
from dagster_project.settings import Settings

pytestmark = pytest.mark.browser

CHROMIUM_ARGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
START_SECONDS = 180  # the web server loads the whole code location before it answers


@pytest.fixture(scope="module")
def home(built: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A state of its own, since the last test spoils it."""
    return copied(built, tmp_path_factory.mktemp("ui") / "home")


@pytest.fixture(scope="module")
def ui(home: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running web server of that state."""
    log = tmp_path_factory.mktemp("server") / "log"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "dagster_webserver", "--port", str(port)]
    with log.open("w") as output:
        server = subprocess.Popen(
            [*command, "--workspace", str(home.project_dir / "workspace.yaml")],
            cwd=home.dagster_home,
            env={
                **os.environ,
                **home.exported(),
                "DSEGMENT_PSEUDONYM_KEY": home.pseudonym_key,
            },
            stdout=output,
            stderr=output,
        )
        try:
            address = f"http://127.0.0.1:{port}"
            wait_for(address, server, log)
            yield address
        finally:
            server.terminate()
            server.wait(timeout=60)


def wait_for(address: str, server: subprocess.Popen, log: Path) -> None:
    """Return as soon as the server answers; fail with its log when it ends or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urlopen(f"{address}/server_info", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"The Dagster UI did not start:\n{log.read_text()}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.fail("Chromium is missing: `apt-get install chromium` (Debian, Ubuntu).")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page that is photographed at the end, reports its errors, and may not phone home."""
    page = browser.new_page(viewport={"width": 1600, "height": 1000})
    page.set_default_timeout(60_000)
    expect.set_options(timeout=60_000)
    errors: list[str] = []
    asked: list[str] = []
    page.on("console", lambda said: said.type == "error" and errors.append(said.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda sent: asked.append(sent.url))
    yield page
    folder = request.config.cache.mkdir("screenshots")
    page.screenshot(path=folder / f"{request.node.name.removeprefix('test_')}.png")
    page.close()
    assert errors == []
    assert {urlsplit(url).hostname for url in asked} <= {"127.0.0.1", None}


def test_the_lineage_shows_the_rooms_from_raw_to_report(ui: str, page: Page) -> None:
    page.goto(f"{ui}/asset-groups")
    for group in ("raw", "staging", "core", "identity", "marts", "ml", "segments", "reports"):
        # Once in the list at the left, once as a box of the graph.
        expect(page.get_by_text(group, exact=True).filter(visible=True)).to_have_count(2)
    page.goto(f"{ui}/locations/__repository__@dsegment/asset-groups/segments/lineage")
    for table in ("mart_customer_rfm", "churn_scores", "segment_membership", "segment_report"):
        expect(page.get_by_text(table, exact=True).first).to_be_visible()


def test_an_asset_says_what_a_row_is_whose_it_is_and_how_many_there_are(
    ui: str, page: Page
) -> None:
    page.goto(f"{ui}/assets/core/fct_orders")
    expect(page.get_by_text(re.compile(r"^One row per order\."))).to_be_visible()
    expect(page.get_by_text("analytics-engineering")).to_be_visible()
    expect(page.get_by_text("Row count")).to_be_visible()
    expect(page.get_by_text("Moment of the purchase, in UTC.")).to_be_visible()
    page.get_by_text("[Show Markdown]").click()
    origin = page.get_by_role("row", name=re.compile("^customer_id"))
    expect(origin.last).to_contain_text("identity.person_identifiers.person_id")


def test_a_gate_lists_its_rules_and_what_they_mean(ui: str, page: Page) -> None:
    page.goto(f"{ui}/assets/marts/mart_customer_rfm?view=checks&checkDetail=gate_marts")
    expect(page.get_by_text("marts.mart_customer_rfm meets all its rules.")).to_be_visible()
    page.get_by_text("[Show Markdown]").click()
    rule = page.get_by_role("row", name=re.compile("only_known_customers_are_scored"))
    expect(rule).to_contain_text("passed")
    expect(rule).to_contain_text("Every scored customer exists in core.dim_customers.")


def test_the_report_is_linked_and_draws_its_charts(home: Settings, ui: str, page: Page) -> None:
    page.goto(f"{ui}/assets/reports/segment_report")
    link = page.locator("a[href$='/segment_report.html']").first
    expect(link).to_have_attribute("href", f"{home.report_url}/segment_report.html")
    page.goto((home.reports_dir / "segment_report.html").as_uri())
    expect(page).to_have_title("Customer segments, 31 December 2017")
    charts = page.locator(".chart")
    expect(charts).to_have_count(14)
    for chart in charts.all():
        expect(chart.locator("svg .role-mark :is(path, text)")).not_to_have_count(0)


def test_a_failed_gate_names_the_table_the_rule_and_the_count(
    home: Settings, ui: str, page: Page
) -> None:
    add_purchases(home, "transactions_2018-01-01.csv", [{"quantity": "many"}] * 60)
    # In a thread of its own: Playwright's event loop is running in this one.
    with ThreadPoolExecutor(1) as aside, pytest.raises(RefreshError):
        aside.submit(run, home).result()
    page.goto(f"{ui}/assets/quality/load_ledger?view=checks&checkDetail=gate_landing")
    said = page.get_by_text(re.compile("^quality.load_ledger breaks"))
    expect(said).to_contain_text(re.compile(r"latest_file_was_mostly_usable\W+1\b"))
    expect(page.get_by_text("Failed", exact=True).first).to_be_visible()
