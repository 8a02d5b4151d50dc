"""Questions of papers, each in a file: arms, paired seeds, and a verdict on every claim."""

from evergrow.studies import rewarm
from evergrow.studies.harness import Study

STUDIES: dict[str, Study] = {"rewarm": rewarm.STUDY}
