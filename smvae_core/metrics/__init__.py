"""How well a model knows what it was not shown: errors by subset, and log-likelihoods."""
