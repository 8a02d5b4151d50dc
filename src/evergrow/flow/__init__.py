"""Recipes carried out, and the verbs on what they made: what the command line and Python call."""
