import numpy as np
import pytest

from framepred.media.frames import on_black


@pytest.mark.parametrize(("dtype", "white"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1.0)])
def test_alpha_scales_towards_black(dtype: type, white: float) -> None:
    pixels = np.full((2, 4), white, dtype=dtype)
    pixels[:, 3] = [white, 0]
    laid = on_black(pixels, axis=-1)
    assert laid.dtype == dtype
    np.testing.assert_array_equal(laid, [[white] * 3, [0] * 3])


def test_integers_are_rounded_to_nearest() -> None:
    np.testing.assert_array_equal(on_black(np.array([200, 129], np.uint8), axis=0), [101])  # 101.18
    np.testing.assert_array_equal(on_black(np.array([65535, 40000], np.uint16), axis=0), [40000])
