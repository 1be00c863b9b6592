"""Statistics: tests, estimates and what to believe of them."""
