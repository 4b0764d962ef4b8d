"""A small convolutional network on scikit-learn's handwritten digits, in the manner of PyTorch's MNIST example."""

import argparse
import math

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset

OPTIMIZERS = {"SGD": optim.SGD, "Adam": optim.Adam, "RMSprop": optim.RMSprop, "Adagrad": optim.Adagrad}


class Net(nn.Module):
    """Two convolutions and two linear layers, for images of 8 x 8 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.fc1 = nn.Linear(32 * 4 * 4, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.conv1(x))
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.fc1(x.flatten(1)))
        return F.log_softmax(self.fc2(x), dim=1)


def load_data(args: argparse.Namespace) -> tuple[DataLoader, DataLoader]:
    images, digits = load_digits(return_X_y=True)
    split = train_test_split(images / 16.0, digits, test_size=0.25, stratify=digits, random_state=0)
    train_images, test_images = (torch.tensor(part, dtype=torch.float32).reshape(-1, 1, 8, 8) for part in split[:2])
    train_digits, test_digits = (torch.tensor(part, dtype=torch.long) for part in split[2:])
    train_set = TensorDataset(train_images, train_digits)
    return (
        DataLoader(train_set, batch_size=args.batch_size, shuffle=True),
        DataLoader(TensorDataset(test_images, test_digits), batch_size=args.test_batch_size),
    )


def train(args: argparse.Namespace, model: nn.Module, device: torch.device, loader: DataLoader, optimizer, epoch: int):
    model.train()
    for batch_idx, (data, target) in enumerate(loader):
        data, target = data.to(device), target.to(device)
        optimizer.zero_grad()
        loss = F.nll_loss(model(data), target)
        loss.backward()
        optimizer.step()
        if batch_idx % args.log_interval == 0:
            done, total = batch_idx * args.batch_size, len(loader.dataset)
            print(f"Train Epoch: {epoch} [{done}/{total} ({done / total:.0%})]\tloss={loss.item():.4f}")


@torch.no_grad()
def test(model: nn.Module, device: torch.device, loader: DataLoader, epoch: int):
    model.eval()
    loss, correct = 0.0, 0
    for data, target in loader:
        data, target = data.to(device), target.to(device)
        output = model(data)
        loss += F.nll_loss(output, target, reduction="sum").item()
        correct += (output.argmax(dim=1) == target).sum().item()
    loss, accuracy = loss / len(loader.dataset), correct / len(loader.dataset)
    print(f"Test set: epoch={epoch}, loss={loss:.4f}, accuracy={accuracy:.4f}\n")
    return loss


def main() -> None:
    parser = argparse.ArgumentParser(description="PyTorch digits example")
    parser.add_argument("--batch-size", type=int, default=64, metavar="N", help="images in a training batch")
    parser.add_argument("--test-batch-size", type=int, default=500, metavar="N", help="images in a test batch")
    parser.add_argument("--epochs", type=int, default=8, metavar="N", help="number of epochs")
    parser.add_argument("--optimizer", choices=sorted(OPTIMIZERS), default="SGD", help="by its name in torch.optim")
    parser.add_argument("--lr", type=float, default=0.01, metavar="LR", help="learning rate")
    parser.add_argument("--no-cuda", action="store_true", help="do not use a GPU")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="random seed")
    parser.add_argument("--log-interval", type=int, default=5, metavar="N", help="batches between two lines")
    args = parser.parse_args()
    print(args)

    torch.manual_seed(args.seed)
    use_cuda = torch.cuda.is_available() and not args.no_cuda
    device = torch.device("cuda" if use_cuda else "cpu")
    if not use_cuda:
        torch.set_num_threads(1)  # such small images gain nothing from more

    train_loader, test_loader = load_data(args)
    model = Net().to(device)
    optimizer = OPTIMIZERS[args.optimizer](model.parameters(), lr=args.lr)
    for epoch in range(1, args.epochs + 1):
        train(args, model, device, train_loader, optimizer, epoch)
        if not math.isfinite(test(model, device, test_loader, epoch)):
            raise SystemExit("The loss is not finite any more: this learning rate is too high.")


if __name__ == "__main__":
    main()
