"""The reactive market, compiled: order flow that rests, cancels and takes real orders in a book."""
