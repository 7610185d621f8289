"""Addresses of databases: every usual spelling of PostgreSQL, and nothing else."""

import pytest

from siamese_jax.storage.addresses import for_libpq, for_sqlalchemy, is_postgresql, scheme_of

PLACE = "user:secret@host:5432/database?sslmode=require"


@pytest.mark.parametrize(
    "kind", ["postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2", "PostgreSQL", "POSTGRES"]
)
def test_every_usual_address_of_postgresql_is_one_and_each_library_gets_its_own_spelling(kind):
    address = f"{kind}://{PLACE}"
    assert is_postgresql(address)
    assert for_libpq(address) == f"postgresql://{PLACE}"
    assert for_sqlalchemy(address) == f"postgresql+psycopg://{PLACE}"


@pytest.mark.parametrize(
    ("text", "scheme"), [("gs://b", "gs"), ("MySQL://h", "mysql"), ("a/b", None), ("c:/x", None), ("postgresql", None)]
)
def test_other_addresses_and_paths_are_not(text, scheme):
    assert scheme_of(text) == scheme
    assert not is_postgresql(text)
