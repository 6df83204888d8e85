"""Convert WeatherBench's temperatures as distributed to array files: python prepare.py 2m_temperature FOLDER."""

import re
import sys
from pathlib import Path

import h5py
import numpy as np

COLDEST, WARMEST = 180.0, 340.0  # kelvin: the values that become 0 and 1
SPLITS = {"train": range(2010, 2016), "val": range(2016, 2017), "test": range(2017, 2019)}


def prepare(source: Path, folder: Path) -> None:
    """Write one array (t, 32, 64), float32 in [0, 1], for each year of the splits."""
    files = {int(found[1]): file for file in source.glob("*.nc") if (found := re.search(r"_(\d{4})_", file.name))}
    for split, years in SPLITS.items():
        (folder / split).mkdir(parents=True, exist_ok=True)
        for year in years:
            if year not in files:
                sys.exit(f"{source} lacks the year {year}: 2m_temperature_{year}_5.625deg.nc.")
            with h5py.File(files[year]) as file:  # netCDF-4 is HDF5
                kelvin = file["t2m"][:]
            np.save(folder / split / f"{year}.npy", ((kelvin - COLDEST) / (WARMEST - COLDEST)).astype(np.float32))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    prepare(*map(Path, sys.argv[1:]))
