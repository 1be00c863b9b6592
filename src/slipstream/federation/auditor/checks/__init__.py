"""One small pure function per group of break kinds: a case in, findings out. See `docs/auditor.md`."""
