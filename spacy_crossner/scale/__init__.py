"""Pipelines over corpora of any size: on one machine, in several processes, on a Ray cluster."""

from spacy_crossner.scale.predictor import Predictor

__all__ = ["Predictor"]
