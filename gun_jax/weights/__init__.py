"""Reads and writes weights: PyTorch files, published DRNs, and the files that export.py writes."""
