"""Every table of the control database: who reads or compares the whole schema imports `Base` from here."""

from __future__ import annotations

from passersby.store import audit_tables as _audit
from passersby.store import duty_tables as _duty
from passersby.store import keys_tables as _keys
from passersby.store import lineage_tables as _lineage
from passersby.store import notice_tables as _notice
from passersby.store import order_tables as _order
from passersby.store import proposal_tables as _proposal
from passersby.store import sensitive_tables as _sensitive
from passersby.store import subject_tables as _subject
from passersby.store import supplier_tables as _supplier
from passersby.store import witness_tables as _witness
from passersby.store.tables import Base

__all__ = ["Base"]

_MODULES = (
    *(_audit, _duty, _keys, _lineage, _notice, _order, _proposal, _sensitive, _subject, _supplier),
    _witness,
)
