"""Blocks of networks that several systems are built of, and what training them shares."""
