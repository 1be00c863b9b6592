"""`slipstream pod template`: Template's pod, hosted as every strategy over bars is."""

from __future__ import annotations

from slipstream.processes.bar_pod import pod_command

pod = pod_command("template", "Reversal book: long what fell, short what rose, rebalanced on schedule, passive first.")
