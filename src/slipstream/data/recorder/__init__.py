"""What was heard, kept as it was heard: lines, segments, and the tables made of them."""
