"""What the driver itself said, whoever wrapped it."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError

from nadg.domain.errors import StoreUnavailable


def driver_error(error: BaseException) -> BaseException:
    """The driver's own error within SQLAlchemy's, and within what the store raised because of it."""
    if isinstance(error, StoreUnavailable) and error.__cause__ is not None:
        return driver_error(error.__cause__)
    return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
