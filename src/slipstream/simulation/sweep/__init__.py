"""Searching a strategy's parameters: what varies, which time chooses, which one pays, who computes."""
