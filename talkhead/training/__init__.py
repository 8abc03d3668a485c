"""Learning: videos -> a training set (`prepare`), a training set -> weights (`train`)."""
