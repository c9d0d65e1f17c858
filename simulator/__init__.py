"""Simulator: published data, delivered the way a company delivers its exports.

It writes landing files and knows nothing of what reads them.
"""
