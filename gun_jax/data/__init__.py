"""Data sets, class maps, augmentation and the pipeline that feeds training; knows nothing of models."""
