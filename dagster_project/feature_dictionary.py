"""The feature dictionary: what is written of each feature beside what it looks like in the data.

What belongs here: putting `features.yml`, the descriptions in dbt and distributions together, for
`docs/reference/features.md` and for the metadata of the mart. What does not: the policy's own rules
(``ml/feature_policy.py``).
"""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import yaml

from dagster_project.settings import PROJECT_DIR
from ml.feature_policy import FeaturePolicy, PolicyError, read_policies

MART = "marts.mart_customer_features"
KEYS = ("customer_id", "as_of_date", "inputs_version", "max_event_at")
DOCUMENT = Path("docs/reference/features.md")
_INTRODUCTION = """\
# Features

The columns of `marts.mart_customer_features`, one row per customer and snapshot day. Written by
`python -m dagster_project.feature_dictionary` from [features.yml](../../features.yml), the
descriptions beside the dbt model, and the newest snapshot of the state folders that are named to
it; edited by nobody.

- **Missing** is what stands in for an empty value in a model: a number, a word, or another column
  of the same row. `never`: the table's contract keeps the column full. `unusable`: no model may use
  it while it is empty.
- **Outliers** is what a model does with extreme values. `log` reads sign(x) · log(1 + |x|),
  `bounded` reads the value as it is, `category` reads names.
- **Distribution** is the 5th percentile · median · 95th percentile, or the most frequent values
  with their shares, in the newest snapshot, and the share of customers without a value. A feature
  that nobody has in the first data is shown from the next.
"""


@dataclass(frozen=True)
class Feature:
    """A line of the dictionary."""

    policy: FeaturePolicy
    meaning: str
    type: str
    distribution: str

    @property
    def missing(self) -> str:
        """The missing rule in words."""
        if self.policy.stand_in is None:
            return self.policy.missing
        return f"`{self.policy.stand_in}`: {self.policy.because}"


def feature_policies(project_dir: Path = PROJECT_DIR) -> dict[str, FeaturePolicy]:
    """The policy of every feature, for whoever hands frames to a model.

    Raises:
        PolicyError: ``features.yml`` is no YAML, or cannot be followed.

    """
    try:
        return read_policies(_read(project_dir / "features.yml"))
    except yaml.YAMLError as error:
        raise PolicyError(f"features.yml: {error}") from None


def feature_dictionary(
    project_dir: Path = PROJECT_DIR, distributions: Mapping[str, str] | None = None
) -> list[Feature]:
    """One line for each column of the mart that is a feature, in the order of the policy."""
    columns = mart_columns(project_dir)
    return [
        Feature(
            policy=policy,
            meaning=" ".join(columns[name]["description"].split()),
            type=columns[name]["data_type"],
            distribution=(distributions or {}).get(name, ""),
        )
        for name, policy in feature_policies(project_dir).items()
    ]


def mart_columns(project_dir: Path = PROJECT_DIR) -> dict[str, dict[str, str]]:
    """What dbt declares of the mart's columns."""
    declared = _read(project_dir / "dbt/models/marts/marts/mart_customer_features.yml")
    return {column["name"]: column for column in declared["models"][0]["columns"]}


def _read(path: Path) -> Any:
    return yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)


def feature_metadata(features: Iterable[Feature]) -> dict[str, dg.MetadataValue]:
    """The dictionary as metadata of the mart's asset."""
    features = list(features)
    return {
        "features": dg.MetadataValue.md("\n".join(_table(features))),
        "feature_count": dg.MetadataValue.int(len(features)),
    }


def as_markdown(features: Iterable[Feature]) -> str:
    """The text of `docs/reference/features.md`."""
    return "\n".join([_INTRODUCTION, *_table(list(features)), ""])


def distributions_in(document: str) -> dict[str, str]:
    """The distributions that the document holds, so that it can be written without the data."""
    rows = [line.split(" | ") for line in document.splitlines() if line.startswith("| `")]
    return {row[0].removeprefix("| ").strip("`"): row[-1].removesuffix(" |") for row in rows}


def measured(
    connection: duckdb.DuckDBPyConnection, policies: Mapping[str, FeaturePolicy], data: str
) -> dict[str, str]:
    """The distribution of every feature that has a value in the newest snapshot."""
    newest = f"from {MART} where as_of_date = (select max(as_of_date) from {MART})"
    shown = {}
    for name, policy in policies.items():
        count, filled = connection.execute(f"select count(*), count({name}) {newest}").fetchall()[0]
        if not filled:
            continue
        if policy.is_category:
            rows = connection.execute(
                f"select {name}, count(*) {newest} and {name} is not null group by 1"
                " order by 2 desc, 1 limit 3"
            ).fetchall()
            # Ids of stores are the company's own; how they spread is all that is of interest.
            named = (
                [f"{number / filled:.0%}" for _, number in rows]
                if name.startswith("home_store")
                else [f"{value} {number / filled:.0%}" for value, number in rows]
            )
            text = ", ".join(named)
        else:
            found = connection.execute(
                f"select quantile_disc({name}, [0.05, 0.5, 0.95]) {newest}"
            ).fetchall()[0][0]
            text = " · ".join(f"{float(value):.4g}" for value in found)
        empty = f"; empty {1 - filled / count:.0%}" if filled < count else ""
        shown[name] = f"{text}{empty} ({data})"
    return shown


def _table(features: list[Feature]) -> list[str]:
    lines = [
        "| feature | meaning | unit | window | counted from | missing | outliers | distribution |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        " | ".join(
            [
                f"| `{feature.policy.name}`",
                feature.meaning,
                feature.policy.unit,
                feature.policy.window,
                ", ".join(f"`{column}`" for column in feature.policy.source_columns) or "nothing",
                feature.missing,
                feature.policy.outliers,
                f"{feature.distribution} |",
            ]
        )
        for feature in features
    ]
    return lines


def main(homes: list[str]) -> None:
    """Write the document; without a state folder, the distributions in it stay."""
    document = PROJECT_DIR / DOCUMENT
    found = distributions_in(document.read_text()) if document.exists() else {}
    policies = feature_policies()
    for home in reversed(homes):
        name = (Path(home) / "SOURCES").read_text().strip()
        with duckdb.connect(str(Path(home) / "warehouse.duckdb"), read_only=True) as connection:
            found |= measured(connection, policies, name)
    document.write_text(as_markdown(feature_dictionary(distributions=found)))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (PolicyError, OSError) as error:
        sys.exit(f"Error: {error}")
