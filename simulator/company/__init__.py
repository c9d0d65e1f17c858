"""A made-up retailer whose customers are known: raw exports on one side, the truth on the other.

Here belongs everything that is invented: people and their households (`people`), what they buy and
click (`journeys`), what the systems write down (`crm`, `contacts`), what they say (`text`), how
it is spoilt on the way (`noise`), and the streaming to files (`export`). Real data belongs in
modules of their own beside this package. Nothing here reads the warehouse.
"""
