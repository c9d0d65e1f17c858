"""Every model's figures beside its bars, in one command; kept in MODELS.md.

What belongs here: calling each model's own figures in turn. What does not: a figure or a bar.

`python -m benchmarks.model_figures --home FOLDER` wants a finished state folder of the Complete
Journey. It takes some ten minutes on two slow cores.
"""

import argparse
import io
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from datetime import datetime
from pathlib import Path

from benchmarks import (
    figures_campaign_response,
    figures_churn,
    figures_clusters,
    figures_lifetime_value,
    figures_recommendations,
)

RESULTS = Path(__file__).with_name("MODELS.md")
PARTS: dict[str, Callable[[Sequence[str]], object]] = {
    "Churn": figures_churn.main,
    "Lifetime value": figures_lifetime_value.main,
    "Next best product and department": figures_recommendations.main,
    "Clusters": figures_clusters.main,
    "Campaign response": figures_campaign_response.main,
}
HEAD = """# Figures of the models

Written by `python -m benchmarks.model_figures --home FOLDER`; edited by nobody. A bar passes when
the interval of 95 % reaches it and the paired gain over the baseline is above zero: of churn and
value over the mean of the cut-offs, as one cut-off can turn on a few heavy buyers. How blind each
figure is stands in the docstring of its module.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the figures of all models, and keep them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, required=True, help="a finished state folder")
    home = parser.parse_args(arguments).home
    today = datetime.now().astimezone().date()
    text = f"{HEAD}\n{today}.\n"
    for title, figures in PARTS.items():
        printed = io.StringIO()
        with redirect_stdout(printed):
            figures(["--home", str(home)])
        text += f"\n## {title}\n\n{printed.getvalue().strip()}\n"
        print(f"## {title}\n\n{printed.getvalue()}", flush=True)
    RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
