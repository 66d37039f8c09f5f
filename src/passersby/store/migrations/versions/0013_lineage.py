"""Lineage of releases, and deliveries that proved bad."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "release_lineage",
        sa.Column("release", sa.Text(), nullable=False),
        sa.Column("deliveries", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["release"], ["release.id"]),
        sa.PrimaryKeyConstraint("release"),
    )
    op.create_table(
        "taint",
        sa.Column("delivery", _ID, nullable=False),
        sa.Column("proposal", _ID, nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("ended", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["delivery"], ["delivery.id"]),
        sa.ForeignKeyConstraint(["proposal"], ["proposal.id"]),
        sa.PrimaryKeyConstraint("delivery"),
    )
