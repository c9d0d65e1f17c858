"""What is measured, against what, and the last figures (RESULTS.md). Nothing imports this."""
