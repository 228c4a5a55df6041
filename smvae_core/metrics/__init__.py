"""Measures of what a model knows of what it was not shown: errors by subset, log-likelihoods."""
