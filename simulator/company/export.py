"""The streaming of a made company to parquet files: a block at a time, in bounded memory.

Here belong the order of making a block, the files by month, and the truth beside them. All files
stay open until the end and get a row group for each chunk of people, so memory holds one chunk
whatever the size of the company. Files appear under their names only when all are complete.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from simulator.company import clicks, crm, mail, purchases, voices
from simulator.company.catalogue import Catalogue, draw_catalogue
from simulator.company.people import draw_people, truth
from simulator.company.plan import BLOCK, History, Plan
from simulator.company.records import MONTH, Records

MONTHLY = (
    "crm_members",
    "consents",
    "web_events",
    "app_events",
    "receipts",
    "receipt_lines",
    "web_orders",
    "web_order_lines",
    "email_events",
    "push_events",
    "support_conversations",
    "reviews",
    "survey_answers",
)
TRUTH = ("people", "records", "identifiers", "noise", "moods")
_COMPRESSION = "zstd"


@dataclass(frozen=True)
class Made:
    """What an export wrote: rows by entity, and the files."""

    rows: dict[str, int]
    files: list[Path]


def file_names(plan: Plan) -> list[str]:
    """Names of all export files of a plan."""
    names = [f"{entity}_{month}.parquet" for entity in MONTHLY for month in plan.months]
    whole = ("products", "stores", "campaigns")
    return [*names, *(f"{entity}_{plan.first_day}.parquet" for entity in whole)]


def write_company(
    plan: Plan,
    folder: Path,
    truth_folder: Path | None = None,
    history: History | None = None,
    chunk_people: int = 20_000,
    progress: Callable[[str], None] = lambda _: None,
) -> Made:
    """Write the export files of a plan into `folder`, and its truth tables into `truth_folder`.

    `chunk_people`: how many people's rows are in memory at a time; the rows written and their order
    do not depend on it. `progress` is told after each chunk.
    """
    catalogue = draw_catalogue(plan, history)
    given = _given_blocks(history) if history else None
    with _Files(plan, folder, truth_folder) as files:
        files.write_whole("products", catalogue.products)
        files.write_whole("stores", catalogue.stores)
        files.write_whole("campaigns", catalogue.campaigns)
        pending: list[Records] = []
        blocks_a_chunk = max(1, chunk_people // BLOCK)
        for block in range(plan.blocks):
            pending.append(make_block(plan, block, catalogue, given))
            if len(pending) == blocks_a_chunk or block == plan.blocks - 1:
                files.write(pending)
                pending.clear()
                progress(f"{min((block + 1) * BLOCK, plan.people):,} of {plan.people:,} people")
        return files.publish()


def make_block(
    plan: Plan, block: int, catalogue: Catalogue, given: pl.DataFrame | None = None
) -> Records:
    """Make a block of people with all that they leave behind."""
    streams = plan.streams(block)
    lines = _lines_of(given, plan, block)
    people = draw_people(plan, block, streams["people"], _first_orders(lines))
    records = Records(plan, people)
    records.truth["people"].append(truth(people, is_given=lines is not None))
    registered = crm.register(records, block, streams["crm"])
    email_until = crm.agree(records, block, streams["crm"], registered)
    if lines is None:
        orders = purchases.draw_orders(plan, people, catalogue, streams["purchases"])
    else:
        orders = purchases.given_orders(people, lines, streams["purchases"])
    checkouts = clicks.browse(records, block, orders, catalogue, streams["web"])
    purchases.check_out(records, block, orders, checkouts, catalogue, streams["noise"])
    purchases.ring_up(records, block, orders, streams["noise"])
    devices = clicks.use_app(records, block, catalogue, streams["app"])
    mail.send_mails(records, catalogue, streams["mail"], registered, email_until)
    mail.send_pushes(records, block, catalogue, streams["mail"], devices)
    voices.speak(records, block, orders, checkouts, streams["text"])
    return records


def _given_blocks(history: History) -> pl.DataFrame:
    """The lines of a history with the number of their person, in order of it."""
    customers = (
        history.orders.select("customer_id").unique().sort("customer_id").with_row_index("number")
    )
    return history.orders.join(customers, on="customer_id").sort("number", maintain_order=True)


def _lines_of(given: pl.DataFrame | None, plan: Plan, block: int) -> pl.DataFrame | None:
    if given is None:
        return None
    first = block * BLOCK
    low, high = np.searchsorted(given["number"].to_numpy(), [first, first + plan.block_size(block)])
    lines = given.slice(low, high - low)
    return lines.with_columns(person=pl.col("number").cast(pl.Int64) - first)


def _first_orders(lines: pl.DataFrame | None) -> np.ndarray | None:
    if lines is None:
        return None
    firsts = lines.group_by("person").agg(pl.col("ordered_at").min()).sort("person")
    return firsts["ordered_at"].cast(pl.Datetime("us")).dt.epoch("s").to_numpy().astype(float)


class _Files:
    """Open parquet files by entity and month, in scratch folders until all are complete.

    A run that is stopped leaves nothing in the landing folder, where it would pass for a delivery.
    """

    def __init__(self, plan: Plan, folder: Path, truth_folder: Path | None):
        self._plan, self._folder, self._truth = plan, folder, truth_folder
        self._stack = ExitStack()
        self._scratch: dict[Path, Path] = {}
        self._writers: dict[Path, pq.ParquetWriter] = {}
        self.rows: dict[str, int] = {}

    def __enter__(self) -> Self:
        for folder in filter(None, (self._folder, self._truth)):
            folder.mkdir(parents=True, exist_ok=True)
            scratch = TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent)
            self._scratch[folder] = Path(self._stack.enter_context(scratch))
        return self

    def __exit__(self, *_: object) -> None:
        for writer in self._writers.values():
            writer.close()
        self._stack.close()

    def write(self, blocks: list[Records]) -> None:
        """Append the rows of several blocks, in their order."""
        for entity in MONTHLY:
            frame = pl.concat([part for block in blocks for part in block.exports[entity]])
            self.rows[entity] = self.rows.get(entity, 0) + len(frame)
            for number, month in enumerate(self._plan.months):
                rows = frame.filter(pl.col(MONTH) == number).drop(MONTH)
                self._append(self._folder / f"{entity}_{month}.parquet", rows)
        if self._truth:
            for table in TRUTH:
                # An identifier is shown many times and told once a block: none reaches beyond.
                parts = [pl.concat(b.truth[table]).unique(maintain_order=True) for b in blocks]
                self._append(self._truth / f"{table}.parquet", pl.concat(parts))

    def write_whole(self, entity: str, frame: pl.DataFrame) -> None:
        """Write a table that is one for the company."""
        self.rows[entity] = len(frame)
        self._append(self._folder / f"{entity}_{self._plan.first_day}.parquet", frame)

    def publish(self) -> Made:
        """Close the files and move them to where they belong."""
        for path, writer in self._writers.items():
            writer.close()
            (self._scratch[path.parent] / path.name).replace(path)
        return Made(self.rows, [path for path in self._writers if path.parent == self._folder])

    def _append(self, path: Path, rows: pl.DataFrame) -> None:
        table = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
        if path not in self._writers:
            draft = self._scratch[path.parent] / path.name
            self._writers[path] = pq.ParquetWriter(draft, table.schema, compression=_COMPRESSION)
        if table.num_rows:
            self._writers[path].write_table(table)
