"""The processes of a fund, each composed of its parts; only the command line imports them."""
