"""The rows of all tables as lines that any of our databases can take in again: for backups, and to move from one database to another.

One JSON value a line. A table begins with `{"table": "member", "columns": ["id", ...]}`; each of its rows is an array of values in that
order. Bytes are base64, moments are ISO 8601 in UTC without a zone (as both databases keep them), the rest is as JSON has it. Tables
come in the order of their foreign keys, so that they can be loaded as they come. Both directions hold some hundred rows in memory,
never all.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from app.db import Database, UtcTime
from app.errors import KinfoldError
from app.models import Base

AT_ONCE = 500
"""Rows that are held in memory."""


class RowsUnknown(KinfoldError):
    """A line names a table or a column that the database does not have."""


@dataclass
class Fingerprint:
    """What tells whether two tables hold the same: how many rows, and the sum of their SHA-256, in whatever order they come."""

    rows: int = 0
    sum: int = 0

    def add(self, line: bytes) -> None:
        self.rows += 1
        self.sum = (self.sum + int.from_bytes(hashlib.sha256(line).digest())) % 2**256

    def __str__(self) -> str:
        return f"{self.sum:064x}"[:16]


def our_tables() -> dict[str, sa.TableClause]:
    """Our tables with the types that a database knows, in the order of their foreign keys."""
    return {
        table.name: sa.table(table.name, *(sa.column(column.name, _stored_as(column.type)) for column in table.columns))
        for table in Base.metadata.sorted_tables
    }


def tables_of(connection: sa.Connection) -> dict[str, sa.TableClause]:
    """The tables of a database that stands at whatever version it likes."""
    found = sa.MetaData()
    found.reflect(connection)
    return {table.name: table for table in found.sorted_tables}


@contextmanager
def snapshot(database: Database) -> Iterator[sa.Connection]:
    """The database as it is at one moment, while others go on writing. Keep it short: SQLite can't tidy its log meanwhile."""
    still = (
        {} if database.engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    )
    with database.engine.connect().execution_options(**still) as connection:
        yield connection


def write_lines(connection: sa.Connection, which: Mapping[str, sa.Select[Any]] | None = None) -> Iterator[bytes]:
    """The rows of our tables; `which` can choose fewer tables and rows, each by a select that gives all columns of its table."""
    for name, table in our_tables().items():
        select = sa.select(table) if which is None else which.get(name)
        if select is None:
            continue
        columns = list(table.c)
        yield _line({"table": name, "columns": [column.name for column in columns]})
        encoders = [_encoder(column.type) for column in columns]
        for row in connection.execution_options(yield_per=AT_ONCE).execute(select):
            yield _line([encode(value) for encode, value in zip(encoders, row, strict=True)])


def load(connection: sa.Connection, lines: Iterable[bytes], tables: Mapping[str, sa.TableClause]) -> None:
    """Insert the rows of these lines, in the caller's transaction. Raises `RowsUnknown`."""
    for table, names, rows in _by_table(lines, tables):
        decoders = [_decoder(table.c[name].type) for name in names]
        insert, waiting = sa.insert(table), list[dict[str, Any]]()
        for row in rows:
            waiting.append({name: decode(value) for name, decode, value in zip(names, decoders, row, strict=True)})
            if len(waiting) == AT_ONCE:
                connection.execute(insert, waiting)
                waiting = []
        if waiting:
            connection.execute(insert, waiting)


def replace(connection: sa.Connection, lines: Iterable[bytes]) -> None:
    """Put the rows of these lines in the place of all that our tables hold, in the caller's transaction. Raises `RowsUnknown`."""
    tables = our_tables()
    for table in reversed(list(tables.values())):
        connection.execute(sa.delete(table))
    load(connection, lines, tables)


def fingerprints(lines: Iterable[bytes]) -> dict[str, Fingerprint]:
    """A fingerprint of each table in these lines."""
    found: dict[str, Fingerprint] = {}
    of = Fingerprint()
    for line in lines:
        if line.startswith(b"{"):
            of = found.setdefault(json.loads(line)["table"], Fingerprint())
        else:
            of.add(line)
    return found


def rows_of(lines: Iterable[bytes], *tables: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of some tables, each with the name of its table and as JSON has its values."""
    table, names = "", list[str]()
    for line in lines:
        if line.startswith(b"{"):
            head = json.loads(line)
            table, names = head["table"], head["columns"]
        elif table in tables:
            yield table, dict(zip(names, json.loads(line), strict=True))


def _by_table(
    lines: Iterable[bytes], tables: Mapping[str, sa.TableClause]
) -> Iterator[tuple[sa.TableClause, list[str], Iterator[list[Any]]]]:
    coming = iter(lines)
    head = next(coming, None)
    while head is not None:
        told = json.loads(head)
        table = tables.get(told["table"])
        if table is None or not set(told["columns"]) <= set(table.c.keys()):
            raise RowsUnknown(told["table"])
        following: list[bytes] = []

        def rows(following: list[bytes] = following) -> Iterator[list[Any]]:
            for line in coming:
                if line.startswith(b"{"):
                    following.append(line)
                    return
                yield json.loads(line)

        yield table, told["columns"], rows()
        head = following[0] if following else None


def _stored_as(kind: sa.types.TypeEngine[Any]) -> sa.types.TypeEngine[Any]:
    if isinstance(kind, UtcTime):
        return sa.DateTime()
    return sa.Text() if isinstance(kind, sa.Enum) else kind


def _encoder(kind: sa.types.TypeEngine[Any]) -> Callable[[Any], Any]:
    if isinstance(kind, sa.LargeBinary):
        return lambda value: None if value is None else base64.b64encode(value).decode("ascii")
    if isinstance(kind, sa.DateTime | sa.Date):
        return lambda value: None if value is None else value.isoformat()
    return lambda value: value


def _decoder(kind: sa.types.TypeEngine[Any]) -> Callable[[Any], Any]:
    if isinstance(kind, sa.LargeBinary):
        return lambda value: None if value is None else base64.b64decode(value)
    if isinstance(kind, sa.DateTime):
        return lambda value: None if value is None else datetime.fromisoformat(value)
    if isinstance(kind, sa.Date):
        return lambda value: None if value is None else date.fromisoformat(value)
    return lambda value: value


def _line(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
