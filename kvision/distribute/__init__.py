"""Replicas and machines: one strategy per process, and functions that gather tensors from all replicas."""

from kvision.distribute.gather import gather_replicas
from kvision.distribute.strategy import is_chief, pick_strategy, replica_count, replica_id

__all__ = ["gather_replicas", "is_chief", "pick_strategy", "replica_count", "replica_id"]
