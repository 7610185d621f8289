"""Training: compiled programs, and the loop that runs them."""
