"""`slipstream pod gradient`: Gradient's pod, hosted as every strategy over bars is."""

from __future__ import annotations

from slipstream.processes.bar_pod import pod_command

gradient = pod_command(
    "gradient", "Trend book: long the strongest, short the weakest, rebalanced on schedule, passive first."
)
