"""Surrogates: models of the loss, made from what was observed."""
