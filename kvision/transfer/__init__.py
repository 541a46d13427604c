"""Transfer learning: joins a pre-trained backbone and a classifier, and compares classifiers."""

from kvision.transfer.attach import attach
from kvision.transfer.audit import LabelCheck, check_labels, label_next, neighbor_distances, outliers
from kvision.transfer.choose_head import Choice, choose_head
from kvision.transfer.episodes import Episode, episodes
from kvision.transfer.few_shot import few_shot, few_shot_methods
from kvision.transfer.seen_classes import seen_classes

__all__ = [
    "Choice",
    "Episode",
    "LabelCheck",
    "attach",
    "check_labels",
    "choose_head",
    "episodes",
    "few_shot",
    "few_shot_methods",
    "label_next",
    "neighbor_distances",
    "outliers",
    "seen_classes",
]
