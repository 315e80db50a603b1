import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus.domain.tools.library.layouts import format_table, measure_text
from nexus.domain.tools.library.lists import count_values, number_statistics, sort_list
from nexus.domain.tools.library.tabular import describe_csv, query_csv, query_json
from nexus.domain.tools.model import ToolError

CSV = 'name,city,amount,qty\nAnn,New York,120.5,1\nBob,上海,80,2\nCid,York,"1,000",\nDee,上海,20,4\n'
JSON = '{"orders":[{"name":"a","n":1},{"name":"b","n":2}],"x.y":3}'
NAMES = [
    (["amount > 100"], ["Ann", "Cid"]), (["amount >= 80", "amount<=120.5"], ["Ann", "Bob"]), (["city contains york"], ["Ann", "Cid"]),
    (["city = 上海"], ["Bob", "Dee"]), (["city in 上海, York"], ["Bob", "Cid", "Dee"]), (["city not in 上海, York"], ["Ann"]), (["qty is empty"], ["Cid"]),
    (["qty is not empty", "qty > 1"], ["Bob", "Dee"]), (["name starts with b"], ["Bob"]), (["name != 'Ann'"], ["Bob", "Cid", "Dee"]), (["qty < 2"], ["Ann"]),
    (["amount ≥ 1000"], ["Cid"]), (["NAME = ann"], ["Ann"]), (["name > 5"], []),
]  # fmt: skip


@pytest.mark.parametrize(("where", "names"), NAMES)
def test_rows_are_chosen_by_conditions(where: list[str], names: list[str]) -> None:
    assert [row["name"] for row in query_csv(CSV, ["name"], where)["rows"]] == names


def test_groups_are_added_up_and_ordered() -> None:
    found = query_csv(CSV, group_by=["city"], aggregate=["sum(amount)", "count(*)"], order_by="sum(amount) desc")
    assert [(row["city"], row["sum(amount)"], row["count(*)"]) for row in found["rows"]] == [
        ("York", 1000, 1),
        ("New York", 120.5, 1),
        ("上海", 100, 2),
    ]
    assert query_csv(CSV, aggregate=["avg(amount) as mean", "max(amount)"])["rows"] == [
        {"mean": 305.125, "max(amount)": 1000}
    ]
    assert query_csv(CSV, where=["amount > 5000"], aggregate=["sum(amount)", "min(amount)"])["rows"] == [
        {"sum(amount)": 0, "min(amount)": None}
    ]
    assert query_csv("a\n0.1\n0.2\n", aggregate=["sum(a)"])["rows"] == [{"sum(a)": 0.3}]


def test_rows_are_ordered_and_bounded() -> None:
    assert [row["name"] for row in query_csv(CSV, ["name"], order_by="qty desc")["rows"]] == [
        "Dee",
        "Bob",
        "Ann",
        "Cid",
    ]
    found = query_csv(CSV, order_by="amount", limit=1)
    assert (found["rows"][0]["name"], found["count"]) == ("Dee", 4)


@pytest.mark.parametrize(
    "call",
    [
        lambda: query_csv(CSV, where=["nope > 1"]), lambda: query_csv(CSV, where=["drop table"]), lambda: query_csv(""), lambda: query_csv(CSV, limit=0),
        lambda: query_csv(CSV, aggregate=["eval(amount)"]), lambda: query_csv("a,b\n1,2,3"), lambda: query_json("{"), lambda: query_json(JSON, "orders[5]"),
        lambda: query_json(JSON, "nope"), lambda: query_json("[" * 100_000), lambda: query_csv("a" * 2_000_001), lambda: format_table([]),
        lambda: query_csv(CSV, order_by="nope"), lambda: query_csv('a\n"' + "x" * 200_000 + '"'),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_a_sentence(call: object) -> None:
    with pytest.raises(ToolError):
        call()  # type: ignore[operator]  # a lambda of the table


def test_columns_are_described() -> None:
    columns = {column["name"]: column for column in describe_csv(CSV)["columns"]}
    assert (columns["qty"]["type"], columns["qty"]["empty"], columns["qty"]["sum"]) == ("integer", 1, 7)
    assert (columns["amount"]["type"], columns["amount"]["avg"]) == ("number", 305.125)
    assert (columns["city"]["type"], columns["city"]["distinct"]) == ("text", 3)
    assert [column["name"] for column in describe_csv("a,a,\n1,2,3")["columns"]] == ["a", "a_2", "column_3"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("orders[0].name", "a"),
        ("orders[*].n", [1, 2]),
        ("orders[-1].n", 2),
        ("orders.1.name", "b"),
        ("['x.y']", 3),
        ("$.orders[0]['name']", "a"),
    ],
)
def test_values_are_read_out_of_json(path: str, value: object) -> None:
    assert query_json(JSON, path)["value"] == value


@given(st.text(max_size=120), st.text(max_size=40))
@settings(max_examples=150, deadline=None)
def test_any_text_is_answered_or_refused(table: str, words: str) -> None:
    for call in (
        lambda: query_csv(table, where=[words]),
        lambda: query_csv(CSV, [], [words], [], [words], words),
        lambda: query_json(JSON, words),
    ):
        try:
            assert call()["text"] is not None
        except ToolError:
            continue


def test_tables_are_aligned_where_characters_are_wide() -> None:
    lines = format_table([{"名称": "苹果", "price": 1.5}, {"名称": "pear|x", "price": 22}])["text"].splitlines()
    assert lines[1] == "| ------- | ----: |"
    assert len({measure_text(line) for line in lines}) == 1
    assert "pear\\|x" in lines[3]
    assert format_table([{"a": 1}, {"a": 20}], style="plain")["text"] == "  a\n---\n  1\n 20"


def test_lists_are_sorted_counted_and_measured() -> None:
    assert sort_list(["b", "10", "9", "a", "9"], unique=True)["items"] == ["9", "10", "a", "b"]
    assert count_values(["a", "b", "a"])["counts"][0] == {"value": "a", "count": 2}
    measured = number_statistics([2, 4, 4, 4, 5, 5, 7, 9])
    assert (measured["mean"], measured["median"], measured["standard_deviation"]) == (
        5,
        4.5,
        pytest.approx(2.138089935299395),
    )
    with pytest.raises(ToolError):
        number_statistics([])


@pytest.mark.parametrize("order", ["sum(amount) desc", "  sum ( amount )   DESCENDING ", "SUM(Amount)\tdesc"])
def test_an_order_is_read_however_it_is_spaced(order: str) -> None:
    found = query_csv("who,amount\na,1\nb,3\na,1\n", group_by=["who"], aggregate=["sum(amount)"], order_by=order)
    assert [row["who"] for row in found["rows"]] == ["b", "a"]


def test_a_column_of_several_words_is_found_and_may_end_like_an_order() -> None:
    table = "unit  price,sort desc\n2,x\n1,y\n"
    assert [row["sort desc"] for row in query_csv(table, order_by="Unit price asc")["rows"]] == ["y", "x"]
    assert [row["unit  price"] for row in query_csv(table, order_by="sort desc desc")["rows"]] == [1, 2]


def test_an_order_without_end_is_refused() -> None:
    with pytest.raises(ToolError, match="order_by"):
        query_csv("a\n1\n", order_by="a" + " " * 10_000)
