"""Optuna's own published tests of samplers, for ours.

Everything of one objective for tpe; for gp, which costs more, what concerns proposals as a whole and one test of each
other kind. With several objectives both refuse.
"""

from __future__ import annotations

import pytest

from tests.machine import need

need("optuna")

from optuna.testing.pytest_samplers import (  # noqa: E402
    BasicSamplerTestCase,
    RelativeSamplerTestCase,
    SingleOnlySamplerTestCase,
)

from hpo_workflow.integrations.optuna import Sampler  # noqa: E402


class TestParzenEstimator(BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase):
    @pytest.fixture
    def sampler(self):
        return lambda: Sampler("tpe", seed=0)


class TestGaussianProcess(RelativeSamplerTestCase, SingleOnlySamplerTestCase):
    @pytest.fixture
    def sampler(self):
        return lambda: Sampler("gp", seed=0)

    test_categorical = BasicSamplerTestCase.test_categorical
    test_conditional_parameter_objective = BasicSamplerTestCase.test_conditional_parameter_objective
    test_conditional_sample_independent = BasicSamplerTestCase.test_conditional_sample_independent
    test_nan_objective_value = BasicSamplerTestCase.test_nan_objective_value
    test_partial_fixed_sampling = BasicSamplerTestCase.test_partial_fixed_sampling
    test_sample_single_distribution = BasicSamplerTestCase.test_sample_single_distribution
