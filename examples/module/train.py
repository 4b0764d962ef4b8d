"""Train one of two classifiers on scikit-learn's handwritten digits and print its accuracy on images kept for choosing.

    python train.py svc --C=1 --gamma=0.02
    python train.py forest --trees=20 --features=4 --leaf=1

Nothing in here knows that it is being tuned. The images are split in three: to train on, to choose parameters with,
and to measure the final model with (`final.py`), which no trial has seen.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy loads: several trials share the machine

from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC


def split():
    """Images and digits to train on, to choose with, and to measure with."""
    images, digits = load_digits(return_X_y=True)
    rest, measure = train_test_split(range(len(digits)), test_size=0.25, stratify=digits, random_state=0)
    train, choose = train_test_split(rest, test_size=0.25, stratify=digits[rest], random_state=0)
    return [(images[part] / 16.0, digits[part]) for part in (train, choose, measure)]


def make_model(kind, params, seed=0):
    """An untrained classifier with the parameters of a trial."""
    if kind == "svc":
        return SVC(C=params["C"], gamma=params["gamma"])
    return RandomForestClassifier(
        n_estimators=params["trees"],
        max_features=params["features"],
        min_samples_leaf=params["leaf"],
        random_state=seed % 2**32,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    svc = kinds.add_parser("svc")
    svc.add_argument("--C", type=float, required=True)
    svc.add_argument("--gamma", type=float, required=True)
    forest = kinds.add_parser("forest")
    for name in ("trees", "features", "leaf"):
        forest.add_argument(f"--{name}", type=int, required=True)
    params = vars(parser.parse_args())
    train, choose, _ = split()
    model = make_model(params.pop("kind"), params).fit(*train)
    print(f"accuracy={model.score(*choose):.4f}")


if __name__ == "__main__":
    main()
