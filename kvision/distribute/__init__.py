"""Replicas and machines: one strategy a process, gathered tensors, batches shared out. TensorFlow only inside functions."""

from kvision.distribute.gather import gather_replicas
from kvision.distribute.inputs import on_replicas
from kvision.distribute.model import extended, scope_of
from kvision.distribute.strategy import Single, current, is_chief, pick_strategy, replica_count, worker_count
from kvision.distribute.values import agree, barrier, read, write

__all__ = [
    "Single",
    "agree",
    "barrier",
    "current",
    "extended",
    "gather_replicas",
    "is_chief",
    "on_replicas",
    "pick_strategy",
    "read",
    "replica_count",
    "scope_of",
    "worker_count",
    "write",
]
