"""Published networks that metrics are defined by, each with how it is shown a face: frames -> features."""
