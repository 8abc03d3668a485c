"""What a coefficient file is, and what can be done to one without seeing a pixel."""
