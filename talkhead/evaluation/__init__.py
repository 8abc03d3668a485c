"""What generated video is worth, in numbers: each with its definition and grade, and a reason where it has no value."""
