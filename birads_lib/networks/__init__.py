"""Pure model builders. Every network takes grey levels 0..255 and holds its own scaling."""

from birads_lib.networks.attention import ChannelAttention, SpatialAttention
from birads_lib.networks.autoencoder import denoising_autoencoder
from birads_lib.networks.backbones import EFFICIENTNETS, weights_digest
from birads_lib.networks.gate import mobilenet_gate
from birads_lib.networks.scorer import PRINTED_INPUT, attention_scorer, plain_cnn

__all__ = [
    "EFFICIENTNETS",
    "PRINTED_INPUT",
    "ChannelAttention",
    "SpatialAttention",
    "attention_scorer",
    "denoising_autoencoder",
    "mobilenet_gate",
    "plain_cnn",
    "weights_digest",
]
