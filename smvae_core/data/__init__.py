"""Data sets: recorded logs and their cache, labelled images, CelebA and its views, batches."""
