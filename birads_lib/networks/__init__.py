"""Pure model builders. Every network takes grey levels 0..255 and holds its own scaling."""

from birads_lib.networks.attention import ChannelAttention, SpatialAttention
from birads_lib.networks.autoencoder import denoising_autoencoder
from birads_lib.networks.backbones import read_model, weights_digest
from birads_lib.networks.gate import mobilenet_gate
from birads_lib.networks.ordinal import OrdinalHead, category_probabilities, ordinal_scorer
from birads_lib.networks.peers import GATES, SCORERS
from birads_lib.networks.scorer import (
    PRINTED_INPUT,
    attention_head,
    attention_scorer,
    join_at_features,
    plain_cnn,
    split_at_features,
)
from birads_lib.networks.spatial_transformer import SpatialTransformer
from birads_lib.pretrained import EFFICIENTNETS

__all__ = [
    "EFFICIENTNETS",
    "GATES",
    "PRINTED_INPUT",
    "SCORERS",
    "ChannelAttention",
    "OrdinalHead",
    "SpatialAttention",
    "SpatialTransformer",
    "attention_head",
    "attention_scorer",
    "category_probabilities",
    "denoising_autoencoder",
    "join_at_features",
    "mobilenet_gate",
    "ordinal_scorer",
    "plain_cnn",
    "read_model",
    "split_at_features",
    "weights_digest",
]
