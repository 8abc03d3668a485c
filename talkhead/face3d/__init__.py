"""From mesh points to a morphable model and back: model, fit, eyes, cameras, rasteriser."""
