"""The image data sets of the paper. Nothing here is imported where robot logs are trained on."""
