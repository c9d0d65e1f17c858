import polars as pl
import pytest

from dagster_project.why import shortest_path


def links(*pairs: tuple[str, str]) -> pl.DataFrame:
    return pl.DataFrame(pairs, schema=["pseudonym_a", "pseudonym_b"], orient="row")


def test_the_path_takes_the_fewest_links_in_either_direction() -> None:
    path = shortest_path(
        links(("b", "a"), ("b", "c"), ("c", "d"), ("a", "e"), ("e", "d"), ("d", "f")), "a", "f"
    )
    assert [(link["pseudonym_a"], link["pseudonym_b"]) for link in path] == [
        ("a", "e"),
        ("e", "d"),
        ("d", "f"),
    ]


def test_an_identifier_needs_no_link_to_itself() -> None:
    assert shortest_path(links(("a", "b")), "a", "a") == []


def test_unconnected_identifiers_are_said_to_be_so() -> None:
    with pytest.raises(ValueError, match="No accepted links"):
        shortest_path(links(("a", "b"), ("c", "d")), "a", "d")
