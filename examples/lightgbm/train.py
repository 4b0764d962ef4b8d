"""Is a handwritten digit five or more? Gradient-boosted trees, in the usual way of LightGBM's own examples."""

import argparse

import lightgbm as lgb
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

parser = argparse.ArgumentParser()
parser.add_argument("--learning-rate", type=float, default=0.1)
parser.add_argument("--num-leaves", type=int, default=31)
parser.add_argument("--min-data-in-leaf", type=int, default=20)
parser.add_argument("--feature-fraction", type=float, default=1.0)
args = parser.parse_args()

images, digits = load_digits(return_X_y=True)
train, test, train_digits, test_digits = train_test_split(images, digits, test_size=0.5, random_state=0)
params = {"objective": "binary", "metric": "auc", "seed": 0, "num_threads": 1, "verbose": -1, **vars(args)}
lgb.train(
    params,
    lgb.Dataset(train, train_digits >= 5),
    num_boost_round=100,
    valid_sets=[lgb.Dataset(test, test_digits >= 5)],
    callbacks=[lgb.log_evaluation(10)],
)
