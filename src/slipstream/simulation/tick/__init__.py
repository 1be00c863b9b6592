"""Strategies run on tapes tick by tick, and what their fills say."""
