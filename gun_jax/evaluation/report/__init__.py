"""`evaluate.py --report`: one HTML page that shows where a network fails, and asks nobody for anything.

A `Survey` sees every picture while it is scored; `write_report` then looks at the best and the worst ones again, takes
the time, and writes the page.
"""

from gun_jax.evaluation.report.page import write_report
from gun_jax.evaluation.report.survey import Survey

__all__ = ["Survey", "write_report"]
