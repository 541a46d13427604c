"""Replicas and machines: one strategy a process, gathered tensors, batches shared out."""

from kvision.distribute.cluster import lost_peer
from kvision.distribute.gather import gather_replicas
from kvision.distribute.inputs import on_replicas
from kvision.distribute.model import extended, scope_of
from kvision.distribute.strategy import (
    Single,
    current,
    is_chief,
    local_replica_count,
    pick_strategy,
    replica_count,
    replica_id,
    worker_count,
)
from kvision.distribute.values import agree, anyone, barrier, read, write

__all__ = [
    "Single",
    "agree",
    "anyone",
    "barrier",
    "current",
    "extended",
    "gather_replicas",
    "is_chief",
    "local_replica_count",
    "lost_peer",
    "on_replicas",
    "pick_strategy",
    "read",
    "replica_count",
    "replica_id",
    "scope_of",
    "worker_count",
    "write",
]
