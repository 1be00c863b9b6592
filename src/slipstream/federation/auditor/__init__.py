"""An independent account of what the pods do, from the venue alone. See `docs/auditor.md`."""
