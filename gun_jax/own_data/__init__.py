"""Inspects a folder of images and labels, and writes a configuration that trains on it."""
