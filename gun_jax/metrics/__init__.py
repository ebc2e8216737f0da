"""Scores of label maps, in NumPy: confusion matrix, Cityscapes' further measures, trimap."""
