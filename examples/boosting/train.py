"""Is a handwritten digit five or more? Gradient-boosted trees in steps: rounds are added to a model that was saved.

python train.py --rounds=20 --model=first.txt
python train.py --rounds=60 --model=second.txt --from=first.txt       adds 40 rounds
"""

from __future__ import annotations

import argparse
import os

import lightgbm as lgb
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

parser = argparse.ArgumentParser()
parser.add_argument("--rounds", type=int, default=100, help="so many, those of the model to begin with included")
parser.add_argument("--model", default="model.txt", help="where the model is written")
parser.add_argument("--from", dest="begin", default="", help="a model to begin with, if there is such a file")
parser.add_argument("--learning-rate", type=float, default=0.1)
parser.add_argument("--num-leaves", type=int, default=31)
parser.add_argument("--min-data-in-leaf", type=int, default=20)
parser.add_argument("--feature-fraction", type=float, default=1.0)
parser.add_argument("--lambda-l2", type=float, default=0.0)
args = parser.parse_args()
params = {name: value for name, value in vars(args).items() if name not in ("rounds", "model", "begin")}

images, digits = load_digits(return_X_y=True)
train, test, train_digits, test_digits = train_test_split(images, digits, test_size=0.5, random_state=0)
begin = args.begin if os.path.isfile(args.begin) else None
done = lgb.Booster(model_file=begin).current_iteration() if begin else 0


def report(env: lgb.callback.CallbackEnv) -> None:
    """Print what a round has come to; LightGBM counts rounds from the model to begin with."""
    print(f"round={env.iteration + 1} logloss={env.evaluation_result_list[0][2]:.5f}")


# The seed depends on where it begins: LightGBM would choose the same columns as in the first rounds again.
params |= {"objective": "binary", "metric": "binary_logloss", "seed": done, "num_threads": 1, "verbose": -1}
model = lgb.train(
    params,
    lgb.Dataset(train, train_digits >= 5),
    num_boost_round=args.rounds - done,
    init_model=begin,
    valid_sets=[lgb.Dataset(test, test_digits >= 5)],
    callbacks=[report],
)
model.save_model(f"{args.model}.new")
os.replace(f"{args.model}.new", args.model)  # whole or not at all: a job may be killed at any moment
