"""A small convolutional network on scikit-learn's handwritten digits, trained in steps: it goes on where it ended.

python train.py --epochs=3 --dir=a                       trains epochs 1 to 3
python train.py --epochs=9 --dir=b --resume-from=a       trains epochs 4 to 9, bit for bit as in one go
"""

from __future__ import annotations

import argparse
import math
import os
from typing import Any

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn import functional as F

CHECKPOINT = "checkpoint.pt"


def load_data() -> list[torch.Tensor]:
    """Images for training and for the test, then their digits."""
    images, digits = load_digits(return_X_y=True)
    split = train_test_split(images / 16.0, digits, test_size=0.5, stratify=digits, random_state=0)
    shown = [torch.tensor(part, dtype=torch.float32).reshape(-1, 1, 8, 8) for part in split[:2]]
    return [*shown, *(torch.tensor(part) for part in split[2:])]


def make_model(dropout: float) -> nn.Module:
    convolutions = [nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.Conv2d(12, 24, 3, stride=2, padding=1), nn.ReLU()]
    return nn.Sequential(*convolutions, nn.Flatten(), nn.Dropout(dropout), nn.Linear(24 * 4 * 4, 10))


def make_optimizer(args: argparse.Namespace, model: nn.Module) -> torch.optim.Optimizer:
    if args.optimizer == "adam":
        return torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=args.weight_decay)
    return torch.optim.SGD(model.parameters(), lr=args.lr, weight_decay=args.weight_decay, momentum=args.momentum)


def newest_checkpoint(*folders: str) -> dict[str, Any] | None:
    """The first one that is there."""
    for folder in folders:
        path = os.path.join(folder, CHECKPOINT)
        if folder and os.path.exists(path):
            print(f"goes on from {path}")
            state: dict[str, Any] = torch.load(path, weights_only=True)
            return state
    return None


def save(folder: str, state: dict[str, Any]) -> None:
    """Write the checkpoint whole or not at all: a job may be killed at any moment."""
    path = os.path.join(folder, CHECKPOINT)
    torch.save(state, f"{path}.new")
    os.replace(f"{path}.new", path)


def train(model: nn.Module, optimizer: torch.optim.Optimizer, images, digits, batch: int) -> None:
    model.train()
    for part in torch.randperm(len(images)).split(batch):
        optimizer.zero_grad()
        F.cross_entropy(model(images[part]), digits[part]).backward()
        optimizer.step()


@torch.no_grad()
def test(model: nn.Module, images, digits) -> tuple[float, float]:
    """(mean loss, accuracy)."""
    model.eval()
    output = model(images)
    right = output.argmax(dim=1) == digits
    return F.cross_entropy(output, digits).item(), right.float().mean().item()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--optimizer", choices=["adam", "sgd"], default="sgd")
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--momentum", type=float, default=0.9)
    parser.add_argument("--weight-decay", type=float, default=1e-4)
    parser.add_argument("--dropout", type=float, default=0.5)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=27, help="train until so many epochs are done, all told")
    parser.add_argument("--dir", default=".", help="where the checkpoint is written")
    parser.add_argument("--resume-from", default="", help="folder of the checkpoint to begin with")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.set_num_threads(1)  # such small images gain nothing from more
    torch.manual_seed(args.seed)
    train_images, test_images, train_digits, test_digits = load_data()
    model = make_model(args.dropout)
    optimizer = make_optimizer(args, model)

    epoch = 0
    # Its own checkpoint first: this may be the second start of a trial that was interrupted.
    state = newest_checkpoint(args.dir, args.resume_from)
    if state is not None:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"])  # of the order of the images and of dropout
        epoch, loss, accuracy = state["epoch"], state["loss"], state["accuracy"]
        if epoch >= args.epochs:  # interrupted after its last epoch
            print(f"epoch={epoch} loss={loss:.5f} accuracy={accuracy:.4f}")

    while epoch < args.epochs:
        train(model, optimizer, train_images, train_digits, args.batch)
        loss, accuracy = test(model, test_images, test_digits)
        epoch += 1
        print(f"epoch={epoch} loss={loss:.5f} accuracy={accuracy:.4f}")
        if not math.isfinite(loss):
            raise SystemExit("The loss is not finite any more: this learning rate is too high.")
        state = {"epoch": epoch, "loss": loss, "accuracy": accuracy, "random": torch.get_rng_state()}
        save(args.dir, {**state, "model": model.state_dict(), "optimizer": optimizer.state_dict()})


if __name__ == "__main__":
    main()
