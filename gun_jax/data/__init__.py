"""Data sets, class maps, augmentation, and the input pipeline of training; knows nothing of models."""
