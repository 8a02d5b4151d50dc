"""Suites: items with verifiers, what a model answers to them, and what its score may claim."""
