"""Forecasts that are traded on: features bar by bar, the artefact that holds a trained model, drift away from it."""
