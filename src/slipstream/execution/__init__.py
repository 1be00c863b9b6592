"""From event to command: kernel, gate, order manager, ledger."""
