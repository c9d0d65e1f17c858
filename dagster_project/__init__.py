"""The wiring: when things run and what feeds what. The only room that imports Dagster."""
