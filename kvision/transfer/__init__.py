"""Transfer learning: joins a pre-trained backbone and a classifier, and compares classifiers."""

from kvision.transfer.attach import attach
from kvision.transfer.choose_head import Choice, choose_head
from kvision.transfer.episodes import Episode, episodes
from kvision.transfer.few_shot import few_shot, few_shot_methods
from kvision.transfer.seen_classes import seen_classes

__all__ = [
    "Choice",
    "Episode",
    "attach",
    "choose_head",
    "episodes",
    "few_shot",
    "few_shot_methods",
    "seen_classes",
]
