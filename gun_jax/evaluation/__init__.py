"""Scores of a trained network."""
