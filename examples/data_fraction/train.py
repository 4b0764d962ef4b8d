"""A support vector machine for scikit-learn's handwritten digits, fitted to a part of the images."""

import argparse

from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

parser = argparse.ArgumentParser()
parser.add_argument("--components", type=int, default=64, help="principal components of the images, at most")
parser.add_argument("--whiten", action="store_true", help="give all components the same variance")
parser.add_argument("--C", type=float, default=1.0)
parser.add_argument("--gamma", type=float, default=0.01)
parser.add_argument("--fraction", type=float, default=1.0, help="how much of the training images is used")
args = parser.parse_args()

images, digits = load_digits(return_X_y=True)
train, test, train_digits, test_digits = train_test_split(images / 16, digits, test_size=0.5, random_state=0)
n = round(args.fraction * len(train))  # they are shuffled: a larger part holds the smaller ones
components = PCA(min(args.components, n), whiten=args.whiten, random_state=0)
model = make_pipeline(components, SVC(C=args.C, gamma=args.gamma)).fit(train[:n], train_digits[:n])
print(f"images={n} accuracy={model.score(test, test_digits):.5f}")  # of the same test images for all
