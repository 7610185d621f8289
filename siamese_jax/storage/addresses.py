"""Addresses of databases: one list of what PostgreSQL's are called, and what each library calls them."""

import re

POSTGRESQL = ("postgresql", "postgres", "postgresql+psycopg", "postgresql+psycopg2")
"""How addresses of PostgreSQL begin, in libpq, SQLAlchemy and hosting services; upper case means the same."""
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


def scheme_of(text: str) -> str | None:
    """Return the scheme of an address in lower case, for example "gs"; None if the text is not an address.

    Messages name only the scheme: what follows it may hold a password.
    """
    found = _SCHEME.match(text)
    return found and found[1].lower()


def is_postgresql(text: str) -> bool:
    """Return whether a text is the address of a PostgreSQL database."""
    return scheme_of(text) in POSTGRESQL


def for_libpq(address: str) -> str:
    """Return an address of PostgreSQL as libpq and psycopg take it."""
    return f"postgresql://{address.partition('://')[2]}"


def for_sqlalchemy(address: str) -> str:
    """Return an address of PostgreSQL with the driver that the extra installs."""
    return f"postgresql+psycopg://{address.partition('://')[2]}"
