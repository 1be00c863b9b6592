"""Tapes: what a market said, row by row, as files that are mapped into memory and read chunk by chunk.

`header` says what a tape is of, `writer` and `reader` are its files, `formats` the table of what it can be made of.
"""
