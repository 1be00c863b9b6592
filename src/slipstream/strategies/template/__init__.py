"""Template: a strategy over closed bars."""
