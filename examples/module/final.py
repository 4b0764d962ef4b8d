"""Train the better of two tuned classifiers on all images that trials have seen, and measure it on those that none has.

    python final.py svc/best.json forest/best.json model.json

Each best.json is the result of a study: `study` names it, `value` is its best accuracy, `params` are the parameters.
"""

import json
import sys

import numpy as np
from train import make_model, split


def main():
    *results, output = sys.argv[1:]
    best = []
    for path in results:
        with open(path) as file:
            best.append(json.load(file))
    winner = max(best, key=lambda result: result["value"])
    train, choose, measure = split()
    images, digits = (np.concatenate(parts) for parts in zip(train, choose, strict=True))
    model = make_model(winner["study"], winner["params"]).fit(images, digits)
    report = {"study": winner["study"], "params": winner["params"], "accuracy": round(model.score(*measure), 4)}
    with open(output, "w") as file:
        json.dump(report, file, indent=2)
        file.write("\n")
    print(f"{report['study']}: accuracy={report['accuracy']:.4f} on images that no trial has seen")


if __name__ == "__main__":
    main()
