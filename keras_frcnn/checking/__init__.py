"""What is wrong in a data set, before a detector is trained on it."""
