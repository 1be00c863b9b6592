"""Tick replay: recorded events meet own orders through queues and latency, and a compiled strategy is asked."""
