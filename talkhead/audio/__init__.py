"""Speech -> features: mel spectrum, prosody, and the one place that aligns sound to video frames."""
