"""Write every sixth of scikit-learn's handwritten digits in libsvm's format: `LABEL PIXEL:VALUE ...`, zeros left out.

    python examples/svm/make_data.py > examples/svm/digits.txt

The file is in the repository, so this is only needed to see where it came from.
"""

from sklearn.datasets import load_digits

images, digits = load_digits(return_X_y=True)
for image, digit in zip(images[::6], digits[::6], strict=True):
    print(digit, *(f"{pixel}:{value:g}" for pixel, value in enumerate(image, start=1) if value))
