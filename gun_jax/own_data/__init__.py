"""Looking at a folder of images and labels, and writing the configuration that trains on it: a leaf."""
