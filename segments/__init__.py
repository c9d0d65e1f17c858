"""Named segments: who belongs to what, since when, and what each segment is worth.

Belongs here: reading and checking `segments.yml`, membership, its history and the scorecard, as
polars frames in and polars frames out. Does not belong here: SQL engines, scheduling, model
fitting (`ml/`), and writing files or tables (`dagster_project/`).
"""
