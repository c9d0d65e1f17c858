"""One module a noun: each asset reads tables, calls a room, writes tables."""
