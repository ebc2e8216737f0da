"""Looking at a folder of pictures and labels, and writing the configuration that trains on it: a leaf."""
