"""Runs migrations on the connection, and in the transaction, that `Database.migrate` hands over."""

from __future__ import annotations

from alembic import context

from passersby.store.all_tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transactional_ddl=True,  # SQLite rolls back DDL too, once the transaction is begun explicitly
    render_as_batch=True,  # SQLite changes a table by copying it
)
context.run_migrations()
