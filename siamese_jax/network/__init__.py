"""The siamese network: towers, energies and what they are made of."""
