"""The strategies and their registry."""
