"""The fund's bus: one port, adapters for MQTT and for a single process, and an embedded broker."""
