"""The terminal: talking to an agent line by line."""
