"""Recipes carried out and the verbs on what they made."""
