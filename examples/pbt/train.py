"""A network on scikit-learn's handwritten digits that can stop after any epoch and go on later, with other settings."""

from __future__ import annotations

import argparse
import os

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn import functional as F

CHECKPOINT = "checkpoint.pt"


def load_data() -> list[torch.Tensor]:
    """Images for training and for the test, then their digits. A part of the training digits is wrong on purpose."""
    images, digits = load_digits(return_X_y=True)
    split = train_test_split(images / 16.0, digits, test_size=0.4, stratify=digits, random_state=0)
    train_images, test_images = (torch.tensor(part, dtype=torch.float32) for part in split[:2])
    train_digits, test_digits = (torch.tensor(part) for part in split[2:])
    generator = torch.Generator().manual_seed(0)
    wrong = torch.rand(len(train_digits), generator=generator) < 0.2
    train_digits[wrong] = torch.randint(10, (int(wrong.sum()),), generator=generator)
    return [train_images, test_images, train_digits, test_digits]


def make_model() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(), nn.Linear(128, 10))


def load(folder: str, model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Go on from a checkpoint; gives how many epochs it has behind it."""
    state = torch.load(os.path.join(folder, CHECKPOINT), weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["epoch"])


def save(folder: str, model: nn.Module, optimizer: torch.optim.Optimizer, epoch: int) -> None:
    """Write the checkpoint whole or not at all: a job may be killed at any moment."""
    path = os.path.join(folder, CHECKPOINT)
    state = {"epoch": epoch, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save(state, f"{path}.new")
    os.replace(f"{path}.new", path)


def configure(model: nn.Module, optimizer: torch.optim.Optimizer, args: argparse.Namespace) -> None:
    """Put this trial's settings in place of those that a checkpoint brought along."""
    for group in optimizer.param_groups:
        group.update(lr=args.lr, momentum=args.momentum, weight_decay=args.weight_decay)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = args.dropout


def train(model: nn.Module, optimizer: torch.optim.Optimizer, images, digits, batch: int, seed: int) -> None:
    model.train()
    torch.manual_seed(seed)  # for the order of the images and for dropout: the same whether it was interrupted or not
    for part in torch.randperm(len(images)).split(batch):
        optimizer.zero_grad()
        F.cross_entropy(model(images[part]), digits[part]).backward()
        optimizer.step()


@torch.no_grad()
def test(model: nn.Module, images, digits, epoch: int) -> None:
    model.eval()
    output = model(images)
    loss = F.cross_entropy(output, digits).item()
    accuracy = (output.argmax(dim=1) == digits).float().mean().item()
    print(f"epoch={epoch} loss={loss:.5f} accuracy={accuracy:.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--momentum", type=float, default=0.9)
    parser.add_argument("--weight-decay", type=float, default=1e-4)
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=40, help="train until so many epochs are done, all told")
    parser.add_argument("--dir", default=".", help="where the checkpoint is written")
    parser.add_argument("--resume-from", default="", help="folder of the checkpoint to begin with")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.set_num_threads(1)  # such small images gain nothing from more
    torch.manual_seed(args.seed)
    train_images, test_images, train_digits, test_digits = load_data()
    model = make_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr)

    epoch = 0
    for folder in (args.dir, args.resume_from):  # its own checkpoint first: it may have been interrupted
        if folder and os.path.exists(os.path.join(folder, CHECKPOINT)):
            epoch = load(folder, model, optimizer)
            break
    configure(model, optimizer, args)

    if epoch >= args.epochs:  # it was interrupted after its last epoch
        test(model, test_images, test_digits, epoch)
    while epoch < args.epochs:
        epoch += 1
        train(model, optimizer, train_images, train_digits, args.batch, args.seed + epoch)
        test(model, test_images, test_digits, epoch)
        save(args.dir, model, optimizer, epoch)


if __name__ == "__main__":
    main()
