"""Landing: files of the declared sources → raw tables, quarantine, ledger and vault.

Here belongs everything between a delivered file and a typed raw table: recognising, reading,
judging row by row, normalising and pseudonymising what identifies a person. Nothing here knows
when it runs (`dagster_project` does) or what the data means (dbt does), or reads the environment.
"""
