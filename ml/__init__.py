"""Science of the warehouse: frame in, frame or model out.

Here belong fitting, predicting, scoring, naming and whatever draws random numbers. No Dagster, no
DuckDB, no clock, no environment, and no files except in `artifacts`. Importing this package loads
nothing, because a run with nothing to do must not pay for scikit-learn.
"""
