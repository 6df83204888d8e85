"""Forecasters that learn: recurrent cells, the encoder-forecaster, pretrained weights."""

from framepred.models.bidirectional import BidirectionalForecaster
from framepred.models.cells import ConvElmanCell, ConvGRUCell, ConvJordanCell, ConvLSTMCell, RecurrentCell
from framepred.models.encoder_forecaster import EncoderForecaster
from framepred.models.forecast_restorer import ForecastRestorer
from framepred.models.frame_stack import FrameStack
from framepred.models.layered_forecaster import LayeredForecaster
from framepred.models.pretrained import load, load_restorer
from framepred.models.tracking.forecaster import TrackingForecaster

__all__ = [
    "BidirectionalForecaster",
    "ConvElmanCell",
    "ConvGRUCell",
    "ConvJordanCell",
    "ConvLSTMCell",
    "EncoderForecaster",
    "ForecastRestorer",
    "FrameStack",
    "LayeredForecaster",
    "RecurrentCell",
    "TrackingForecaster",
    "load",
    "load_restorer",
]
