"""The segment report: frames in, one self-contained HTML page out.

Belongs here: what a marketer reads. Does not belong here: figures that are not shown (dbt, `ml/`,
`segments/`), reading tables and writing the file (`dagster_project/`).
"""
