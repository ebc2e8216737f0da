"""Labelling one's own pictures and videos: what is read, the network in one of two engines, what is written."""
