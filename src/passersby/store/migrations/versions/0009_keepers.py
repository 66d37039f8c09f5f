"""Key-encryption keys by name and keeper, and the recovery key with what is sealed to it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    kek = op.create_table(
        "kek",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("keeper", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    # the key file keys/kek, which every deployment begins with
    op.bulk_insert(kek, [{"id": "kek", "keeper": "file", "state": "active", "created": 0}])
    op.create_table(
        "recovery",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("needed", sa.BigInteger(), nullable=False),
        sa.Column("holders", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "recovery_seal",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
