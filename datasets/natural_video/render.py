"""Films rendered by code: python render.py FOLDER. Needs ale-py for games.

FOLDER gets ``game-*.npy``, Atari games played at random (Bellemare et al. 2013, arXiv:1207.4708), and ``fluid-*.npy``,
dye in a two-dimensional flow; uint8 ``(t, h, w, c)``. The same seed gives the same films.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from jaxtyping import Complex, Float, UInt8

from framepred.media.opencv import cv2

GAMES = ("enduro", "riverraid", "seaquest", "frostbite", "skiing", "zaxxon", "road_runner", "pitfall", "kung_fu_master")
"""Games with moving scenery or several moving objects; none of them flickers."""

FRAME_SKIP = 2
"""Frames of the game per frame of the film, which so has 30 frames per second."""

REPEATED_ACTIONS = 0.8
"""Probability that an action is repeated, so that the player moves on instead of trembling."""

FLUIDS = 8
FLUID_SIDE = 160
"""Height and width of a flow in pixels; it is periodic."""

EDDY, DYE = 12, 4
"""Wave numbers up to which the initial vorticity, and the slowly varying part of the dye, have energy."""

SPEEDS = (0.5, 3.0)
"""Range of the root mean square speed of a flow, in pixels per frame."""

VISCOSITY = 2e-3
"""Share of the energy at wave number 1 that a frame loses to friction; it grows with the square of the wave number."""


def main(
    folder: Annotated[Path, typer.Argument(help="Folder for the films.")],
    frames: Annotated[int, typer.Option(help="Frames of a film.")] = 240,
    seed: Annotated[int, typer.Option(help="Seed of the films.")] = 0,
) -> None:
    """Write the films and print their names."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(FLUIDS):
        write(folder / f"fluid-{number}.npy", fluid(frames, np.random.default_rng([seed, number])))
    for name in GAMES:
        write(folder / f"game-{name}.npy", game(name, frames, seed))


def write(path: Path, frames: Iterator[np.ndarray]) -> None:
    """Write a film and print its name."""
    np.save(path, np.stack(list(frames)))
    print(path)


def game(name: str, frames: int, seed: int) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """Yield the pictures of a game whose player acts at random."""
    from ale_py import ALEInterface, LoggerMode, roms

    ALEInterface.setLoggerMode(LoggerMode.Error)
    player = ALEInterface()
    player.setInt("random_seed", seed)
    player.setInt("frame_skip", FRAME_SKIP)
    player.setFloat("repeat_action_probability", REPEATED_ACTIONS)
    player.loadROM(roms.get_rom_path(name))
    actions, random = player.getMinimalActionSet(), np.random.default_rng(seed)
    for _ in range(frames):
        if player.game_over():
            player.reset_game()
        player.act(actions[random.integers(len(actions))])
        yield player.getScreenRGB()


def fluid(frames: int, random: np.random.Generator) -> Iterator[UInt8[np.ndarray, "h w 1"]]:
    """Yield dye that a freely decaying two-dimensional flow carries along.

    The vorticity is carried by the flow that follows from it (semi-Lagrangian; Stam 1999, "Stable Fluids") and is
    stirred by friction and by a new random force at each frame, so that the flow does not come to rest.
    """
    waves = np.fft.fftfreq(FLUID_SIDE, 1 / FLUID_SIDE)
    squared = waves[:, None] ** 2 + waves**2
    vorticity = smooth_noise(random, squared, EDDY)
    dye = fresh = smooth_noise(random, squared, DYE) + 0.5 * smooth_noise(random, squared, 4 * EDDY)
    speed = random.uniform(*SPEEDS)
    for _ in range(frames):
        velocity = velocity_of(np.fft.fft2(vorticity), waves, squared)
        velocity *= speed / np.sqrt((velocity**2).sum(axis=0).mean())
        vorticity = carried(vorticity, velocity) + 0.05 * smooth_noise(random, squared, EDDY)
        vorticity = np.fft.ifft2(np.fft.fft2(vorticity) * np.exp(-VISCOSITY * squared)).real
        vorticity /= vorticity.std()
        dye = 0.99 * carried(dye, velocity) + 0.01 * fresh
        yield (128 + 50 * dye).clip(0, 255).astype(np.uint8)[..., None]


def smooth_noise(random: np.random.Generator, squared: np.ndarray, most: int) -> Float[np.ndarray, "h w"]:
    """Return periodic noise of variance 1 with wave numbers up to about ``most``."""
    spectrum = np.fft.fft2(random.normal(size=squared.shape)) * np.exp(-squared / most**2) * (squared > 0)
    noise = np.fft.ifft2(spectrum).real
    return noise / noise.std()


def velocity_of(
    vorticity: Complex[np.ndarray, "h w"], waves: np.ndarray, squared: np.ndarray
) -> Float[np.ndarray, "2 h w"]:
    """Return the velocity (x, y) without divergence that has the vorticity of this spectrum."""
    stream = vorticity / np.maximum(squared, 1)
    return np.fft.ifft2(np.stack([1j * waves[:, None] * stream, -1j * waves * stream])).real


def carried(values: Float[np.ndarray, "h w"], velocity: Float[np.ndarray, "2 h w"]) -> Float[np.ndarray, "h w"]:
    """Return values moved by a velocity for one frame, periodic."""
    rows, columns = np.mgrid[:FLUID_SIDE, :FLUID_SIDE].astype(np.float32)
    sampled = [grid - part.astype(np.float32) for grid, part in zip((columns, rows), velocity, strict=True)]
    moved = cv2.remap(values.astype(np.float32), *sampled, cv2.INTER_CUBIC, borderMode=cv2.BORDER_WRAP)
    return moved.astype(np.float64)


if __name__ == "__main__":
    typer.run(main)
