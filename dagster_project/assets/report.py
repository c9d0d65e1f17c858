"""Tables → the report that a marketer opens: one self-contained HTML file.

What belongs here: reading the tables, writing the file, linking it from the asset.
What does not: charts, words and layout (``report/``).
"""

import dagster as dg

import report
from dagster_project.assets.specs import version_of
from dagster_project.resources import Warehouse, write_text
from dagster_project.settings import Settings
from landing.declarations import Declarations

TODAY = (
    "marts.mart_customer_rfm",
    "ml.cluster_assignments",
    "ml.churn_scores",
    "ml.lifetime_values",
    "ml.model_refusals",
)
WHOLE = (
    "ml.model_runs",
    "marts.mart_cohort_retention",
    "segments.dim_segments",
    "segments.segment_scorecard",
    "quality.load_ledger",
    "quality.gate_results",
)
CUSTOMERS = "core.dim_customers"
# Read, but written by the steps before without being their own step.
LEDGERS = {"ml.model_runs", "ml.model_refusals", "quality.gate_results"}
# Of these the report tells how good they are, which is in the ledger of runs.
JUDGED = ("ml.recommendations", "ml.category_propensity", "ml.campaign_responses")
READ = (CUSTOMERS, *TODAY, *WHOLE, *JUDGED)
DEPS = [dg.AssetKey(name.split(".")) for name in READ if name not in LEDGERS]


def report_asset(settings: Settings, declarations: Declarations) -> dg.AssetsDefinition:
    """The segment report as an asset."""

    @dg.multi_asset(
        name="segment_report",
        specs=[
            dg.AssetSpec(
                ["reports", "segment_report"],
                deps=DEPS,
                group_name="reports",
                description="One HTML file: what every segment is, is worth and needs.",
                owners=["team:marketing"],
                kinds={"html", "altair"},
                code_version=version_of(report),
            )
        ],
        pool="warehouse",
    )
    def write_report(
        context: dg.AssetExecutionContext, warehouse: Warehouse
    ) -> dg.MaterializeResult:
        from report.page import ReportData, render  # imports altair, which other steps do without

        as_of = warehouse.as_of()
        frames = {
            name.split(".")[1]: warehouse.read(
                f"select * from {name} where as_of_date = $day", {"day": as_of}
            )
            for name in TODAY
        } | {name.split(".")[1]: warehouse.read(name) for name in WHOLE}
        page = render(
            ReportData(
                as_of_date=as_of,
                currency=declarations.business.currency,
                customer_count=warehouse.counts([CUSTOMERS])[CUSTOMERS],
                customer_rfm=frames.pop("mart_customer_rfm"),
                cohort_retention=frames.pop("mart_cohort_retention"),
                data_note=" ".join(
                    declarations.sources[name].description for name in settings.sources
                ),
                **frames,
            )
        )
        path = settings.reports_dir / "segment_report.html"
        write_text(path, page)
        context.log.info(f"Report: {path}")
        return dg.MaterializeResult(
            metadata={
                "report": dg.MetadataValue.url(f"{settings.report_url}/{path.name}"),
                "file": dg.MetadataValue.path(str(path)),
                "size_kb": len(page.encode()) // 1000,
            }
        )

    return write_report
