"""How good a network is: protocols, one-shot recognition, verification, and what learns nothing beside it."""
