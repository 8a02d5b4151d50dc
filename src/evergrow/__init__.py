"""Models that keep learning: one lineage from the first token to every release.

The verbs of the command line are functions of ``evergrow.flow``; importing this imports nothing.
"""
