"""Policies: pure functions over signal columns that say which documents stay, and why not."""
