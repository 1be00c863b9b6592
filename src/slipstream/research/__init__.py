"""Pipelines that train and judge models on the lake."""
