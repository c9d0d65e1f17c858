"""Simulator: a company to try things on. Here.

Published data, delivered the way a company's exports are.

It writes landing files and knows nothing of what reads them.
"""
