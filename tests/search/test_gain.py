import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.gain import box_of, gains
from tests.strategies import PROPERTY

clouds = st.lists(st.tuples(*[st.integers(0, 5)] * 3), min_size=1, max_size=6)


def covered(points, box, cells=6):
    grid = np.stack(np.meshgrid(*[(np.arange(cells) + 0.5) / cells * box[0]] * 3, indexing="ij"), -1)
    return {tuple(cell) for cell in np.argwhere((grid[..., None, :] >= np.array(points)).all(-1).any(-1))}


@PROPERTY
@given(clouds, clouds)
def test_a_gain_is_the_volume_that_is_new(points, base):
    box = np.full(3, 6.0)
    expected = [len(covered([*base, point], box)) - len(covered(base, box)) for point in points]

    assert gains(np.array(points, float), np.array(base, float), box) == pytest.approx(np.array(expected))


def test_over_nothing_a_gain_is_the_whole_volume():
    assert gains(np.array([[1.0, 2.0], [9.0, 0.0]]), np.array([]), np.array([4.0, 4.0])).tolist() == [
        6.0,
        0.0,
    ]


def test_the_box_reaches_beyond_the_worst_even_where_all_are_alike():
    assert box_of(np.array([[0.0, 5.0], [10.0, 5.0]])).tolist() == [11.0, 6.0]
