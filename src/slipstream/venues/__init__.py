"""Adapters to the places where orders live."""
