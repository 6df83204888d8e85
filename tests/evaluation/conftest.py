import pytest

from framepred.evaluation import Card, DataRecord, Interval, ProtocolVersion, WeightsRecord


@pytest.fixture
def example() -> Card:
    """A card that tests of cards and tables share."""
    return Card(
        protocol=ProtocolVersion("openstl"),
        data=DataRecord(
            name="moving-mnist",
            split="test",
            seed=0,
            clips=1000,
            context=10,
            horizon=2,
            size=(1, 64, 64),
            digits="mnist",
            sha256="ab" * 32,
        ),
        weights=WeightsRecord(name="moving-mnist", sha256="cd" * 32, parameters=15, macs_per_clip=56),
        metrics={
            "mse": Interval(31.25, 30.0, 32.0),
            "mae": Interval(90.5, 89.0, 92.0),
            "psnr": Interval(22.125, 22.0, 22.25),
            "ssim": Interval(0.92875, 0.92, 0.93),
        },
        lead_times={"mse": (20.5, 42.0), "mae": (80.0, 101.0), "psnr": (23.0, 21.25), "ssim": (0.9375, 0.92)},
        baselines={
            "blank": {"mse": 176.0, "mae": 203.7, "psnr": 13.83, "ssim": 0.77},
            "last-frame": {"mse": 291.2, "mae": 343.1, "psnr": 11.69, "ssim": 0.641},
        },
        skill={"mse": 0.8224, "mae": 0.5557},
    )
