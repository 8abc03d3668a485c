"""Pixels -> 2-D facts about faces."""
