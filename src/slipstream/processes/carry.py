"""`slipstream pod carry`: Carry's pod, hosted as every strategy over bars is."""

from __future__ import annotations

from slipstream.processes.bar_pod import pod_command

pod = pod_command(
    "carry", "Carry book: expected return less expected funding, beta-neutral, after costs, passive first."
)
