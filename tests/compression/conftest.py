"""A small trained transformer with two inputs."""

import functools

import pytest
import torch

from tests.networks_d import Spotting, TinyBert


@pytest.fixture(scope="session")
def spotting():
    torch.set_num_threads(1)
    return Spotting(functools.partial(TinyBert, 2, 32, 2), 3)


@pytest.fixture(scope="session")
def spotting_model(spotting):
    """Trained; nobody may change it."""
    return spotting.model()
