"""What training does: losses, optimizers, batches, one update, and its health."""
