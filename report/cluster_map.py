"""The map of clusters: which customers are drawn, and where the middle of each cluster is.

Belongs here: the frames that both views of the map are drawn from, on the page and in pictures.
Does not belong here: drawing (`charts.py`) and the table beside it (`page.py`).
"""

import polars as pl

AXES = ("map_x", "map_y", "map_z")
_SEED = 20


def middles(assigned: pl.DataFrame) -> pl.DataFrame:
    """Return one row per cluster, the largest first: position (0-based), name, size and place.

    `assigned` has the columns of ml.cluster_assignments, one row per customer.
    """
    return (
        assigned.group_by("cluster_name")
        .agg(pl.len().alias("customers"), pl.col(AXES).median())
        .sort("customers", "cluster_name", descending=[True, False])
        .with_row_index("position")
        .with_columns(pl.col("position").cast(pl.Int64))
    )


def shown(assigned: pl.DataFrame, centres: pl.DataFrame, most: int) -> pl.DataFrame:
    """Return the place and the cluster's position of at most `most` customers, drawn by seed."""
    return (
        assigned.join(centres.select("cluster_name", "position"), on="cluster_name")
        .sort("customer_id")
        .sample(min(most, assigned.height), seed=_SEED)
        # Stray points would press all others into a corner.
        .filter(
            pl.all_horizontal(
                pl.col(axis).is_between(pl.col(axis).quantile(0.002), pl.col(axis).quantile(0.998))
                | pl.col(axis).is_null()
                for axis in AXES
            )
        )
        .select(pl.col(AXES).round(3), "position")
    )
