"""The shell around the kernel: config, journal, clock, pod host, secrets, telemetry."""
