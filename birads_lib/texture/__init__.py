"""Texture features of tiles, and the classic models that learn from them.

The row of Islam et al. in the chapter on related work, the Hu moments of the paper's
future work, and the features its abstract names: grey-level co-occurrence, region of
interest, clustering.
"""

from birads_lib.texture.classic import (
    CLASSIC_MODELS,
    TREE_MODELS,
    ClassicModel,
    fit_classic,
    shap_summary,
    shap_values,
)
from birads_lib.texture.features import FEATURE_GROUPS, feature_group, texture_features

__all__ = [
    "CLASSIC_MODELS",
    "FEATURE_GROUPS",
    "TREE_MODELS",
    "ClassicModel",
    "feature_group",
    "fit_classic",
    "shap_summary",
    "shap_values",
    "texture_features",
]
