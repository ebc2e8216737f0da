"""`evaluate.py --report`: one HTML page that shows where a network fails, and asks nobody for anything.

A `PerImageScores` sees every image while it is scored; `write_report` then looks at the best and the worst again, takes
the time, and writes the page.
"""

from gun_jax.evaluation.report.page import write_report
from gun_jax.evaluation.report.per_image import PerImageScores

__all__ = ["PerImageScores", "write_report"]
