"""Contracts of the tables that Python writes, as strict as dbt's: grain, key, types, meanings.

What belongs here: one ``Table`` for each table a Python asset writes.
What does not: how rows are made (``ml/``, ``segments/``) or written (``resources.py``).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """A column: its name, DuckDB type and meaning."""

    name: str
    type: str
    description: str


@dataclass(frozen=True)
class Table:
    """A contracted table. ``grain`` is the first sentence of its description."""

    schema: str
    name: str
    grain: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def qualified(self) -> str:
        """``schema.name``."""
        return f"{self.schema}.{self.name}"

    def ddl(self) -> str:
        """The statement that makes the table when it is not there yet."""
        body = ", ".join(f'"{c.name}" {c.type}' for c in self.columns)
        return f"create table if not exists {self.qualified} ({body})"


_CUSTOMER = Column("customer_id", "varchar", "The person of today.")
_AS_OF = Column("as_of_date", "date", "The inclusive business day that was looked at.")
_RUN = Column("model_run_id", "varchar", "The model run that made the row.")
_SEGMENT = Column("segment_id", "varchar", "The segment's stable id.")

MODEL_RUNS = Table(
    "ml",
    "model_runs",
    "One row per trained model: its data, settings and evidence.",
    ("model_run_id",),
    (
        Column("model_run_id", "varchar", "Hash of all that determines the model."),
        Column("model_name", "varchar", "What the model is for."),
        _AS_OF,
        Column("data_version", "varchar", "Version of the rows that the model was trained on."),
        Column("features", "json", "Names of the features, in the order of the model."),
        Column("parameters", "json", "Settings of the fit, seeds included."),
        Column("metrics", "json", "Evidence: candidates, holdout figures, baselines."),
        Column("artifact_path", "varchar", "Model file, relative to the state folder."),
        Column("is_champion", "boolean", "Whether its scores are the published ones."),
        Column("is_pinned", "boolean", "Whether a person put it back, to stay until let go."),
        Column("decision", "varchar", "Why it took over from the champion before, or did not."),
        Column("followed_run_id", "varchar", "The champion that it took over from."),
    ),
)
MODEL_REFUSALS = Table(
    "ml",
    "model_refusals",
    "One row per model and as_of_date of which nothing new could be made, and why.",
    ("model_name", "as_of_date"),
    (
        Column("model_name", "varchar", "The model, as in ml.model_runs."),
        _AS_OF,
        Column("reason", "varchar", "What was found and what is needed; the last rows stay."),
    ),
)
CLUSTER_ASSIGNMENTS = Table(
    "ml",
    "cluster_assignments",
    "One row per customer and as_of_date: the cluster of similar customers it belongs to.",
    ("customer_id", "as_of_date"),
    (
        _CUSTOMER,
        _AS_OF,
        _RUN,
        Column("cluster_id", "integer", "The cluster's number; it outlives a new fit."),
        Column("cluster_name", "varchar", "Name by rule from the cluster's profile."),
        Column("map_x", "double", "First coordinate of the cluster map."),
        Column("map_y", "double", "Second coordinate of the cluster map."),
        Column("map_z", "double", "Third coordinate, for a map in space."),
    ),
)
CHURN_SCORES = Table(
    "ml",
    "churn_scores",
    "One row per customer and as_of_date: how likely it stays away for the next 28 days.",
    ("customer_id", "as_of_date"),
    (
        _CUSTOMER,
        _AS_OF,
        _RUN,
        Column("churn_score", "double", "Probability of no purchase in the next 28 days."),
        Column("repurchase_score", "double", "Probability of a purchase in the next 28 days."),
        Column("reason_1", "varchar", "What moves the score most, in words, and which way."),
        Column("reason_2", "varchar", "What moves it next."),
        Column("reason_3", "varchar", "What moves it third."),
    ),
)
LIFETIME_VALUES = Table(
    "ml",
    "lifetime_values",
    "One row per customer, as_of_date and horizon: what it is expected to bring in.",
    ("customer_id", "as_of_date", "horizon_days"),
    (
        _CUSTOMER,
        _AS_OF,
        Column("horizon_days", "integer", "Length of the days ahead: 28, 90 or 365."),
        _RUN,
        Column("expected_order_count", "double", "Orders expected in the horizon."),
        Column("expected_value_amount", "double", "Net sales expected in the horizon."),
        Column("floor_value_amount", "double", "The same by BG/NBD and Gamma-Gamma alone."),
        Column("value_decile", "integer", "Tenth by expected value, 1 is the most valuable."),
    ),
)
RECOMMENDATIONS = Table(
    "ml",
    "recommendations",
    "One row per customer, as_of_date, kind and rank: a product that it may buy next.",
    ("customer_id", "as_of_date", "kind", "rank"),
    (
        _CUSTOMER,
        _AS_OF,
        _RUN,
        Column("kind", "varchar", "repeat: bought before; cross_sell: never bought before."),
        Column("rank", "integer", "Place in the list, 1 to 10, the best first."),
        Column("product_id", "varchar", "The product, as in core.dim_products."),
        Column("score", "double", "What the rank is by; to be compared within a list only."),
        Column("reason", "varchar", "Why, in plain words."),
    ),
)
CATEGORY_PROPENSITY = Table(
    "ml",
    "category_propensity",
    "One row per customer, as_of_date and department: how likely it buys there in 28 days.",
    ("customer_id", "as_of_date", "department"),
    (
        _CUSTOMER,
        _AS_OF,
        _RUN,
        Column("department", "varchar", "Department, as in core.dim_products."),
        Column("purchase_score", "double", "Probability of a purchase in the next 28 days."),
    ),
)
CAMPAIGN_RESPONSES = Table(
    "ml",
    "campaign_responses",
    "One row per customer and as_of_date: how likely it redeems a coupon of the next campaign.",
    ("customer_id", "as_of_date"),
    (
        _CUSTOMER,
        _AS_OF,
        _RUN,
        Column("response_score", "double", "Probability to redeem one, should it be sent one."),
    ),
)
DIM_SEGMENTS = Table(
    "segments",
    "dim_segments",
    "One row per segment: its name, meaning and rule.",
    ("segment_id",),
    (
        _SEGMENT,
        Column("segment_name", "varchar", "Name for people."),
        Column("description", "varchar", "What it means and what to do with it."),
        Column("kind", "varchar", "rule, rfm, model or hybrid."),
        Column("rule", "varchar", "The condition that a member meets."),
        Column("display_order", "integer", "Place in reports."),
    ),
)
SEGMENT_MEMBERSHIP = Table(
    "segments",
    "segment_membership",
    "One row per segment and member on as_of_date.",
    ("segment_id", "customer_id"),
    (_SEGMENT, _CUSTOMER, _AS_OF),
)
SEGMENT_HISTORY = Table(
    "segments",
    "segment_history",
    "One row per segment, customer and unbroken stay.",
    ("segment_id", "customer_id", "valid_from"),
    (
        _SEGMENT,
        _CUSTOMER,
        Column("valid_from", "date", "First recorded day of the stay."),
        Column("valid_to", "date", "Day of leaving, exclusive; null for a member of today."),
    ),
)
SEGMENT_RECORDED_DAYS = Table(
    "segments",
    "segment_recorded_days",
    "One row per business day whose membership was recorded.",
    ("as_of_date",),
    (_AS_OF,),
)
SEGMENT_SCORECARD = Table(
    "segments",
    "segment_scorecard",
    "One row per segment on as_of_date: size, worth, reach, response and stability.",
    ("segment_id",),
    (
        _SEGMENT,
        _AS_OF,
        Column("customer_count", "bigint", "Members."),
        Column("customer_share", "double", "Members over all customers, 0 to 1."),
        Column("revenue_amount", "decimal(38,4)", "Net sales of the members in 365 days."),
        Column("revenue_share", "double", "That over all customers' net sales, 0 to 1."),
        Column("average_order_amount", "decimal(38,4)", "Net sales over orders, 365 days."),
        Column("order_count_per_customer", "double", "Orders over members, 365 days."),
        Column("reachable_share", "double", "Members who can be contacted, 0 to 1."),
        Column("response_share", "double", "Contacted members who redeemed, 0 to 1."),
        Column("discount_share", "double", "Mean discount over gross sales, 90 days, 0 to 1."),
        Column("mean_churn_score", "double", "Mean churn probability of the members."),
        Column("stability_share", "double", "Jaccard with the members 28 days before."),
        Column("closest_segment_id", "varchar", "Segment with the greatest overlap."),
        Column("overlap_share", "double", "Jaccard with that segment."),
    ),
)
MATCH_SCORES = Table(
    "identity",
    "match_scores",
    "One row per pair of people that matching found alike, by the two records that agree best.",
    ("pseudonym_a", "pseudonym_b"),
    (
        Column("pseudonym_a", "varchar", "Strongest identifier of one record."),
        Column("pseudonym_b", "varchar", "Strongest identifier of the other record."),
        Column("match_probability", "double", "Probability that both are one person."),
        Column("match_weight", "double", "The same as a log2 Bayes factor."),
        Column("evidence", "varchar", "Which fields agreed and how well; never a value."),
        Column("model_run_id", "varchar", "Training run of the model that scored."),
        _AS_OF,
    ),
)
GATE_RESULTS = Table(
    "quality",
    "gate_results",
    "One row per gate, table, rule and column of each run of the gate.",
    ("run_id", "gate", "table_schema", "table_name", "rule", "column_name"),
    (
        Column("gate", "varchar", "Border: landing, marts or ml."),
        Column("table_schema", "varchar", "Schema of the table."),
        Column("table_name", "varchar", "The table."),
        Column("rule", "varchar", "Name of the rule, unique in its suite."),
        Column("description", "varchar", "The rule in plain words."),
        Column("column_name", "varchar", "The column, where the rule has one."),
        Column("is_success", "boolean", "Whether the table met the rule."),
        Column("unexpected_count", "bigint", "Rows that break the rule."),
        Column("element_count", "bigint", "Rows that were judged."),
        Column("observed_value", "varchar", "Aggregate that was seen; never a row's value."),
        Column("details", "varchar", "Why a rule could not be judged."),
        Column("as_of_date", "date", "The run's business day."),
        Column("run_id", "varchar", "The Dagster run."),
        Column("checked_at", "timestamp", "When, UTC."),
    ),
)

PYTHON_TABLES = (
    MATCH_SCORES,
    MODEL_RUNS,
    MODEL_REFUSALS,
    CLUSTER_ASSIGNMENTS,
    CHURN_SCORES,
    LIFETIME_VALUES,
    RECOMMENDATIONS,
    CATEGORY_PROPENSITY,
    CAMPAIGN_RESPONSES,
    DIM_SEGMENTS,
    SEGMENT_MEMBERSHIP,
    SEGMENT_HISTORY,
    SEGMENT_RECORDED_DAYS,
    SEGMENT_SCORECARD,
    GATE_RESULTS,
)

# Tables that dbt adds to and could not make again, with their keys: backed up after each build.
DBT_HISTORIES = {
    "identity.person_identifier_history": ("pseudonym", "known_from"),
    "identity.person_recorded_days": ("as_of_date",),
    "identity.person_ids": ("person_id",),
    "identity.merge_history": ("all",),
    "quality.landing_days": ("as_of_date",),
    "quality.file_arrivals": ("source", "file_id"),
}
