"""Metrics of label maps in NumPy: confusion matrix, the further measures of Cityscapes, trimap."""
