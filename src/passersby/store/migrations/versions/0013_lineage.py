"""Lineage of releases, deliveries that proved bad, samples of consent records."""

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
    op.add_column("consent", sa.Column("records", sa.BigInteger(), nullable=True))
    op.create_table(
        "consent_sample",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("supplier", _ID, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("numbers", sa.Text(), nullable=False),
        sa.Column("drawn_by", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("evidence_sha256", sa.Text(), nullable=True),
        sa.Column("checked_by", sa.Text(), nullable=True),
        sa.Column("signature", sa.Text(), nullable=True),
        sa.Column("checked", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["supplier"], ["supplier.number"]),
        sa.ForeignKeyConstraint(["drawn_by"], ["person.id"]),
        sa.ForeignKeyConstraint(["checked_by"], ["person.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_consent_sample_supplier", "consent_sample", ["supplier"])
