"""Labelling one's own images and videos: what is read, the network in one of two engines, what is written."""
