"""The report of a backtest: what it earned after costs, how, at what risk, and whether to believe it."""

from slipstream.research.report.page import sheet
from slipstream.research.report.sweep import Sweep
from slipstream.research.report.write import ReportPaths, write_report

__all__ = ["ReportPaths", "Sweep", "sheet", "write_report"]
