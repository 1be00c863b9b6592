"""The market kernel: order book, price-time matching, queue models, order flow, tick replay."""
