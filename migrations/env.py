"""Alembic runs this. `app.ops.migrate` hands the engine over; the engine's own tables are left alone."""

from typing import Any

from alembic import context

from app.jobs.engine import ENGINE_TABLES
from app.models import Base


def ours(_object: Any, name: str | None, kind: str, _reflected: bool, _compare_to: Any) -> bool:
    """Whether Alembic may look at this."""
    return not (kind == "table" and name in ENGINE_TABLES)


with context.config.attributes["engine"].begin() as connection:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        include_object=ours,
        render_as_batch=True,
        compare_type=True,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()
