"""The plot of a training run: loss, and accuracy on val at every exit."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np


def draw(told: dict[str, Any]) -> bytes:
    """Return a PNG of the training history in `network.json`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from bench.report.drawing import mpl, sns

    history = told["history"]
    epochs = [entry["epoch"] for entry in history]
    accuracy = 100 * np.array([entry["accuracy"] for entry in history])
    with mpl.rc_context(mpl.rcParamsDefault):
        figure = Figure(figsize=(10, 3.6), layout="constrained")
        FigureCanvasAgg(figure)
        left, right = figure.subplots(1, 2)
        left.plot(epochs, [entry["loss"] for entry in history], color="black", marker="o", markersize=3)
        left.set(xlabel="Epoch", ylabel="Training loss, nats", title="Loss, added over exits, at the end of an epoch")
        colours = sns.color_palette("viridis_r", accuracy.shape[1])
        names = [*(f"exit {k}" for k in range(accuracy.shape[1] - 1)), "last exit"]
        for k, name in enumerate(names):
            right.plot(epochs, accuracy[:, k], color=colours[k], marker="o", markersize=3, label=name)
        right.set(xlabel="Epoch", ylabel="Accuracy on val, %", title="Accuracy of the averaged weights")
        if len(names) > 1:
            right.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5), reverse=True)
        for axes in (left, right):
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.grid(alpha=0.3)
            sns.despine(ax=axes)
        figure.suptitle(told["name"])
        file = BytesIO()
        figure.savefig(file, format="png", dpi=110, metadata={"Software": None})
    return file.getvalue()
