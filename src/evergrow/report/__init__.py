"""One HTML page made from the files of a run folder: what a model learnt, forgot and was fed."""

from evergrow.report.page import write_report

__all__ = ["write_report"]
