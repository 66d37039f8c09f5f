"""Every table of the control database: who reads the whole schema imports `Base` from here."""

from __future__ import annotations

from passersby.store import notice_tables as _notices
from passersby.store import order_tables as _orders
from passersby.store import proposal_tables as _proposals
from passersby.store.tables import Base

__all__ = ["Base"]

_MODULES = (_proposals, _orders, _notices)
