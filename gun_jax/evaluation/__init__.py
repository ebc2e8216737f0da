"""Evaluation of trained networks: scores, boundaries, submissions to the Cityscapes server, and the report."""
