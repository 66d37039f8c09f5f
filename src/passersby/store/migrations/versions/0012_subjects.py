"""The rights of devices' holders: withdrawals, erasures, requests, keys that prove a holder."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "withdrawal",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("supplier", _ID, nullable=True),
        sa.Column("journal", sa.Text(), nullable=False),
        sa.Column("log_index", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["supplier"], ["supplier.number"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("journal"),
    )
    op.create_table(
        "tombstone",
        sa.Column("hash", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("withdrawal", _ID, nullable=False),
        sa.ForeignKeyConstraint(["withdrawal"], ["withdrawal.id"]),
        sa.PrimaryKeyConstraint("hash"),
    )
    op.create_table(
        "withdrawn_devices",
        sa.Column("withdrawal", _ID, nullable=False),
        sa.Column("epoch", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("devices", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["withdrawal"], ["withdrawal.id"]),
        sa.PrimaryKeyConstraint("withdrawal", "epoch"),
    )
    op.create_table(
        "listed_hash",
        sa.Column("form", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("log_index", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("form", "digest"),
    )
    op.create_table(
        "erasure",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("withdrawal", _ID, nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("snapshot", sa.BigInteger(), nullable=False),
        sa.Column("days", sa.Text(), nullable=False),
        sa.Column("log_index", sa.BigInteger(), nullable=True),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("ended", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["withdrawal"], ["withdrawal.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "subject_request",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=False),
        sa.Column("erasure", _ID, nullable=True),
        sa.Column("proof", sa.Text(), nullable=True),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["erasure"], ["erasure.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("proof"),
    )
    op.create_table(
        "proof_key",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("supplier", _ID, nullable=False),
        sa.Column("holder", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["supplier"], ["supplier.number"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("supplier", "holder"),
    )
