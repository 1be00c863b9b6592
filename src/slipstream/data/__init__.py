"""Recorder, Parquet lake, loaders and quality checks."""
