"""Train a multi-layer perceptron on scikit-learn's handwritten digits and print how good it is after each epoch.

    python examples/digits/train.py --lr 0.01

Nothing in here knows that it is being tuned: it takes options and prints `name=value`. The defaults are those of
scikit-learn's MLPClassifier.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy loads: several trials share the machine

from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lr", type=float, default=0.001, help="learning rate")
    parser.add_argument("--hidden", type=int, default=100, help="units of the hidden layer")
    parser.add_argument("--batch", type=int, default=200, help="images in a mini-batch")
    parser.add_argument("--optimizer", choices=("adam", "sgd"), default="adam")
    parser.add_argument("--momentum", type=float, default=0.9, help="of sgd; adam has none")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0, help="of the initial weights and the order of the images")
    return parser.parse_args()


def main() -> None:
    options = read_options()
    images, digits = load_digits(return_X_y=True)
    # The split is the same in every trial, so that trials can be compared; only the network depends on the seed.
    images, held_out_images, digits, held_out_digits = train_test_split(
        images / 16.0, digits, test_size=0.25, stratify=digits, random_state=0
    )
    network = MLPClassifier(
        hidden_layer_sizes=(options.hidden,),
        solver=options.optimizer,
        learning_rate_init=options.lr,
        batch_size=options.batch,
        momentum=options.momentum,
        random_state=options.seed % 2**32,
    )
    for epoch in range(1, options.epochs + 1):
        network.partial_fit(images, digits, classes=range(10))
        probabilities = network.predict_proba(held_out_images)
        loss = log_loss(held_out_digits, probabilities, labels=range(10))
        accuracy = accuracy_score(held_out_digits, probabilities.argmax(axis=1))
        print(f"epoch={epoch} loss={loss:.4f} accuracy={accuracy:.4f}", flush=True)


if __name__ == "__main__":
    main()
