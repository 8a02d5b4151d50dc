"""Carry out a recipe and the verbs: order the steps, skip what is done, record the lineage."""
