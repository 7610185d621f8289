"""Galleries: pictures of known classes that are kept, and the classes that a new picture may be of.

A gallery is a file of SQLite, or tables in PostgreSQL with pgvector. `Gallery` is the same for both.
"""

from siamese_jax.gallery.gallery import Gallery
from siamese_jax.gallery.records import About, Answer, Enrolment, Findings, Match, Picture

__all__ = ["About", "Answer", "Enrolment", "Findings", "Gallery", "Match", "Picture"]
