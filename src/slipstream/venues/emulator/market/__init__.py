"""Where the emulated venue's prices and flow come from: a seeded synthetic market, or a recording."""
