"""Trains a ConvLSTM encoder-forecaster from Python, as a training script of your own would.

python scripts/train.py runs/mine --steps 2000 --root FOLDER_OF_MNIST
"""

import argparse

import torch

from framepred.data import MovingMNISTData
from framepred.models import EncoderForecaster
from framepred.training import ForecastTask, fit, make_trainer
from one_sentence import one_sentence_errors

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("folder", help="the run's folder")
parser.add_argument("--steps", type=int, default=2000, help="budget in optimizer steps")
parser.add_argument("--validate-every", type=int, default=500, help="optimizer steps between validations")
parser.add_argument("--validation-clips", type=int, default=100, help="clips of one validation")
parser.add_argument("--root", help="folder of MNIST's IDX files; without it the embedded digits are used")
parser.add_argument("--resume", action="store_true", help="resume the run in the folder")
options = parser.parse_args()

with one_sentence_errors():
    torch.manual_seed(0)
    net = EncoderForecaster(channels=1, hidden_channels=[64, 64, 64], kernel_size=3)
    task = ForecastTask(
        net,
        budget=options.steps,
        loss=torch.nn.MSELoss(),
        optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=2e-3, betas=(0.9, 0.98)),
    )
    data = MovingMNISTData(context=10, horizon=10, batch_size=4, val_clips=options.validation_clips, root=options.root)
    trainer = make_trainer(options.folder, options.steps, options.validate_every)
    fit(trainer, task, data, ckpt_path="last" if options.resume else None)
