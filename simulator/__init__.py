"""Simulator: published data and a made-up company, delivered as companies deliver their exports.

It writes landing files and knows nothing of what reads them.
"""
