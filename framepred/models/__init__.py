"""Forecasters that learn: recurrent cells, the encoder-forecaster, pretrained weights."""

from framepred.models.bidirectional import BidirectionalForecaster
from framepred.models.conv_elman import ConvElmanCell
from framepred.models.conv_gru import ConvGRUCell
from framepred.models.conv_jordan import ConvJordanCell
from framepred.models.conv_lstm import ConvLSTMCell
from framepred.models.encoder_forecaster import EncoderForecaster
from framepred.models.frame_stack import FrameStack
from framepred.models.layered_forecaster import LayeredForecaster
from framepred.models.pretrained import load
from framepred.models.recurrent_cell import RecurrentCell
from framepred.models.tracking.forecaster import TrackingForecaster

__all__ = [
    "BidirectionalForecaster",
    "ConvElmanCell",
    "ConvGRUCell",
    "ConvJordanCell",
    "ConvLSTMCell",
    "EncoderForecaster",
    "FrameStack",
    "LayeredForecaster",
    "RecurrentCell",
    "TrackingForecaster",
    "load",
]
