"""The production connector to Hyperliquid: signing, REST, stream, broker."""
