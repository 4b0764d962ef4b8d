"""Solve Poisson's equation on the unit square by multigrid, with the settings of a case file.

    python examples/solver/multigrid.py CASE.ini

-laplace(u) = f with u = 0 on the boundary, five-point differences, V cycles with red-black Gauss-Seidel over-relaxed
by `omega`, full weighting down, bilinear interpolation up. There are `points` inner points each way, a power of two
less one; each of the `levels` has half the points of the one above. Work is counted in sweeps over the finest grid: a
sweep over the next one costs a quarter of it.

Ends with 1 if the residual has not fallen by `stop.reduction` after `stop.max_cycles` cycles.
"""

import argparse
import configparser
import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Grid = NDArray[np.float64]
"""Values at all points, the boundary included: (points + 2, points + 2)."""


@dataclass(frozen=True)
class Settings:
    """What the sections [grid], [multigrid] and [stop] of a case file say."""

    points: int
    omega: float
    pre: int
    post: int
    levels: int
    coarse: int
    reduction: float
    max_cycles: int

    @classmethod
    def read(cls, path: str) -> "Settings":
        case = configparser.ConfigParser(inline_comment_prefixes=("#",))
        with open(path) as file:
            case.read_file(file)
        grid, multigrid, stop = case["grid"], case["multigrid"], case["stop"]
        settings = cls(
            points=grid.getint("points"),
            omega=multigrid.getfloat("omega"),
            pre=multigrid.getint("pre"),
            post=multigrid.getint("post"),
            levels=multigrid.getint("levels"),
            coarse=multigrid.getint("coarse"),
            reduction=stop.getfloat("reduction"),
            max_cycles=stop.getint("max_cycles"),
        )
        if (settings.points + 1) % 2 ** (settings.levels - 1) or (settings.points + 1) >> (settings.levels - 1) < 2:
            raise SystemExit(f"{path}: a grid of {settings.points} points has no {settings.levels} levels")
        return settings


def residual(u: Grid, f: Grid, h: float) -> Grid:
    """f + laplace(u) inside, 0 on the boundary."""
    r = np.zeros_like(u)
    neighbours = u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:]
    r[1:-1, 1:-1] = f[1:-1, 1:-1] - (4.0 * u[1:-1, 1:-1] - neighbours) / h**2
    return r


def smooth(u: Grid, f: Grid, h: float, omega: float) -> None:
    """One red-black sweep in place: first the points with an even sum of indices, then the others."""
    for colour in (0, 1):
        for row in (1, 2):  # rows of one parity, so that a colour is a regular slice
            first = 1 + (row + colour + 1) % 2
            rows, columns = slice(row, -1, 2), slice(first, -1, 2)
            above, below = u[row - 1 : -2 : 2, columns], u[row + 1 :: 2, columns]
            left, right = u[rows, first - 1 : -2 : 2], u[rows, first + 1 :: 2]
            gauss_seidel = 0.25 * (above + below + left + right + h**2 * f[rows, columns])
            u[rows, columns] += omega * (gauss_seidel - u[rows, columns])


def restrict(fine: Grid) -> Grid:
    """Full weighting: each coarse point gets the mean of nine fine ones, the nearer the heavier."""
    lines = 0.25 * fine[1:-2:2] + 0.5 * fine[2:-1:2] + 0.25 * fine[3::2]
    coarse = np.zeros((len(lines) + 2,) * 2)
    coarse[1:-1, 1:-1] = 0.25 * lines[:, 1:-2:2] + 0.5 * lines[:, 2:-1:2] + 0.25 * lines[:, 3::2]
    return coarse


def prolong(coarse: Grid) -> Grid:
    """Bilinear interpolation: the transpose of `restrict`, times four."""
    size = 2 * (len(coarse) - 1) + 1
    lines = np.zeros((size, len(coarse)))
    lines[::2] = coarse
    lines[1::2] = 0.5 * (coarse[:-1] + coarse[1:])
    fine = np.zeros((size, size))
    fine[:, ::2] = lines
    fine[:, 1::2] = 0.5 * (lines[:, :-1] + lines[:, 1:])
    return fine


def v_cycle(u: Grid, f: Grid, h: float, settings: Settings, level: int = 0) -> float:
    """Improve `u` in place; returns the work in sweeps over the finest grid."""
    cost = 0.25**level
    if level == settings.levels - 1:
        for _ in range(settings.coarse):
            smooth(u, f, h, settings.omega)
        return cost * settings.coarse
    for _ in range(settings.pre):
        smooth(u, f, h, settings.omega)
    correction_f = restrict(residual(u, f, h))
    correction = np.zeros_like(correction_f)
    work = v_cycle(correction, correction_f, 2.0 * h, settings, level + 1)
    u += prolong(correction)
    for _ in range(settings.post):
        smooth(u, f, h, settings.omega)
    # A residual and a transfer between grids cost about as much as a sweep.
    return work + cost * (settings.pre + settings.post + 1)


def solve(settings: Settings) -> tuple[Grid, float, bool]:
    """The solution, the work that it took, and whether the residual fell far enough."""
    h = 1.0 / (settings.points + 1)
    x = np.linspace(0.0, 1.0, settings.points + 2)
    # f belongs to the solution sin(pi x) sin(3 pi y), so that the result can be checked.
    f = 10.0 * np.pi**2 * np.outer(np.sin(np.pi * x), np.sin(3.0 * np.pi * x))
    u = np.random.default_rng(0).standard_normal(f.shape)  # a start with errors of all wave lengths
    u[[0, -1], :] = u[:, [0, -1]] = 0.0
    start = float(np.linalg.norm(residual(u, f, h)))
    work = 0.0
    for cycle in range(1, settings.max_cycles + 1):
        work += v_cycle(u, f, h, settings)
        relative = float(np.linalg.norm(residual(u, f, h))) / start
        print(f"cycle={cycle} residual={relative:.3e}", flush=True)
        if relative <= settings.reduction:
            return u, work, True
        if not relative < 1e6:
            break
    return u, work, False


def main() -> None:
    parser = argparse.ArgumentParser(description="Solve Poisson's equation by multigrid.")
    parser.add_argument("case", help="the INI file with the settings")
    settings = Settings.read(parser.parse_args().case)
    u, work, converged = solve(settings)
    if not converged:
        sys.exit("no convergence")
    x = np.linspace(0.0, 1.0, settings.points + 2)
    error = np.abs(u - np.outer(np.sin(np.pi * x), np.sin(3.0 * np.pi * x))).max()
    print(f"error={error:.3e}")
    print(f"work={work:.4f}")


if __name__ == "__main__":
    main()
