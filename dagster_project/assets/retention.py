"""What is kept of former models: rows of scores, records of runs, and files.

What belongs here: forgetting what ``Settings.kept_runs`` no longer covers.
What does not: which runs a way back needs (``ml/champion.py``).
"""

from collections.abc import Mapping

from dagster_project.resources import Warehouse
from dagster_project.settings import Settings
from dagster_project.tables import Table
from ml.champion import outlived


def forget_old(
    settings: Settings,
    warehouse: Warehouse,
    table: Table,
    model_name: str,
    matching: Mapping[str, object] | None = None,
) -> None:
    """Keep the latest days of a model's rows (those that match), its latest runs, and their files.

    Kept besides are the run's own day, the champion and the one it followed, and every run that a
    kept row names: the gate asks for its record.
    """
    matching = matching or {}
    mine = " and ".join(["true", *(f"{name} = ${name}" for name in matching)])
    given = {**matching, "today": warehouse.as_of(), "kept": settings.kept_runs}
    with warehouse.connect() as connection:
        connection.execute("begin")
        connection.execute(
            f"""
            delete from {table.qualified}
            where {mine} and as_of_date <> $today and as_of_date not in (
                select distinct as_of_date from {table.qualified} where {mine}
                order by as_of_date desc limit $kept
            )
            """,
            given,
        )
        named = connection.sql(f"select distinct model_run_id from {table.qualified}").pl()
        runs = connection.sql(
            "from ml.model_runs where model_name = $name", params={"name": model_name}
        ).pl()
        gone = set(outlived(runs, model_name, settings.kept_runs)) - set(named["model_run_id"])
        connection.execute(
            "delete from ml.model_runs where model_name = $name and model_run_id in "
            "(select unnest($gone))",
            {"name": model_name, "gone": sorted(gone)},
        )
        connection.execute("commit")
    # Only now, and by what no run names: so the next run also finds what a kill left behind.
    kept = set(runs["model_run_id"]) - gone
    for file in (settings.models_dir / model_name).glob("*.skops"):
        if file.stem not in kept:
            file.unlink()
