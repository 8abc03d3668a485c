"""Checkpoints: what there is (`manifest`), where it comes from and what its licence allows."""
