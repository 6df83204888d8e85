"""Forecasters that learn: recurrent cells, the encoder-forecaster, pretrained weights."""

from framepred.models.conv_lstm import ConvLSTMCell
from framepred.models.encoder_forecaster import EncoderForecaster
from framepred.models.layered_forecaster import LayeredForecaster
from framepred.models.pretrained import load

__all__ = ["ConvLSTMCell", "EncoderForecaster", "LayeredForecaster", "load"]
