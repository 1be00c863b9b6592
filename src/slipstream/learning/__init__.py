"""Gymnasium environments, baselines, training and policy export."""
