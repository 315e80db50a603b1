import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus.domain.tools.library.calculator import calculate
from nexus.domain.tools.model import ToolError

RIGHT = [
    ("0.1 + 0.2", 0.3), ("1 - 0.9", 0.1), ("100 * 1.1", 110), ("(1200 * 1.19) / 3", 476), ("7 // 2", 3), ("-7 // 2", -4), ("-7 % 3", 2),
    ("7 % 3", 1), ("7%3", 1), ("7 % -3", -2), ("-2 ** 2", -4), ("2 ^ -1", 0.5), ("2 ** 3 ** 2", 512), ("1/3*3", 1), ("floor(1/3*3)", 1),
    ("15% of 80", 12), ("15 % of 80", 12), ("80的15%", 12), ("百分之15乘以80", 12), ("200 + 10%", 220), ("200 - 10%", 180), ("50% * 50%", 0.25),
    ("10% + 5%", 0.15), ("10%", 0.1), ("sqrt(16)", 4), ("√16", 4), ("4 ^ 0.5", 2), ("cbrt(-27)", -3), ("8^(1/3)", 2), ("5!", 120),
    ("log(100)", 2), ("log10(1000)", 3), ("log2(8)", 3), ("log(8, 2)", 3), ("ln(e)", 1), ("exp(0)", 1), ("sin(pi)", 0), ("sin(pi/6)", 0.5),
    ("cos(pi)", -1), ("tan(pi/4)", 1), ("sin(radians(30))", 0.5), ("max(1, 234)", 234), ("max(1,234)", 234), ("1,234.5 * 2", 2469),
    ("sum(1, 2, 3)", 6), ("mean(1, 2, 4) * 3", 7), ("median(3, 1, 2)", 2), ("round(2.5)", 3), ("round(-2.5)", -3), ("round(3.14159, 2)", 3.14),
    ("１２＋３", 15), ("3×4÷2", 6), ("3万*2", 60000), ("12加3", 15), ("10除以4", 2.5), ("5²", 25), ("½+1", 1.5), ("2(3+4)", 14), ("3x4", 12),
    ("$100 * 1.08", 108), ("100 divided by 4", 25), ("2 + 2 = ?", 4), ("comb(5, 2)", 10), ("gcd(12, 18)", 6), ("lcm(4, 6)", 12), ("0^0", 1),
    ("123456789 * 987654321", 121932631112635269), ("0.5^100000", 0),
]  # fmt: skip
NEAR = [
    ("sqrt(2)", 1.4142135623730951), ("pi", 3.141592653589793), ("2e", 5.43656365691809), ("exp(1)", 2.718281828459045), ("1/3", 0.3333333333333333),
    ("ln(2)", 0.6931471805599453), ("sin(1)", 0.8414709848078965), ("tan(1)", 1.5574077246549023), ("atan(1)", 0.7853981633974483),
    ("2^0.5", 1.4142135623730951), ("(1+0.05/12)^360", 4.467744314006134), ("1.0000001^36500", 1.0036566691787479), ("sin(1000000)", -0.3499935021712930),
    ("200000*(0.05/12)/(1-(1+0.05/12)^-360)", 1073.6432460242797), ("stdev(2,4,4,4,5,5,7,9)", 2.138089935299395), ("2**1000", 1.0715086071862673e301),
]  # fmt: skip
WRONG = [
    "", "  ", "1/0", "5 % 0", "9**9**9", "10**300*10**10", "sqrt(-1)", "ln(0)", "tan(pi/2)", "(-8)^(1/3)", "1 +", "((((", "3 4", "1..2", "what",
    "__import__('os').system('true')", "().__class__", "lambda: 1", "[x for x in (1,)]", "factorial(1e9)", "factorial(2.5)", "0x10", "1e999", "1e400",
    "0^-1", "-" * 2000, "√" * 900 + "4", "百分之" * 300 + "4", "(" * 400 + "1" + ")" * 400, "max()", "sqrt(1, 2)", "2^^3", "9^(10^9)", "1_000", "comb(1e6, 5)", "\x00", "e^(i*pi)",
]  # fmt: skip


@pytest.mark.parametrize(("expression", "result"), RIGHT)
def test_what_is_exact_is_exact(expression: str, result: float) -> None:
    assert calculate(expression)["result"] == result


@pytest.mark.parametrize(("expression", "result"), NEAR)
def test_what_does_not_end_is_right_to_fourteen_digits(expression: str, result: float) -> None:
    assert calculate(expression)["result"] == pytest.approx(result, rel=1e-14)


@pytest.mark.parametrize("expression", WRONG)
def test_what_cannot_be_worked_out_is_a_sentence(expression: str) -> None:
    with pytest.raises(ToolError) as told:
        calculate(expression)
    assert told.value.detail.endswith(".")


def test_the_text_shows_all_digits_of_a_whole_number() -> None:
    assert calculate("2**100")["text"] == "2**100 = 1267650600228229401496703205376"
    assert calculate("0.1+0.2")["text"] == "0.1+0.2 = 0.3"


@given(st.text(alphabet="0123456789.+-*/%^!() ,eEpisqrtlogx万的百分之²√", max_size=80) | st.text(max_size=60))
@settings(max_examples=300, deadline=1000)
def test_any_text_is_a_number_or_a_sentence(text: str) -> None:
    try:
        found = calculate(text)["result"]
    except ToolError:
        return
    assert isinstance(found, int | float)


@given(st.integers(-(10**9), 10**9), st.integers(1, 10**9), st.sampled_from("+-*"))
def test_integers_are_as_in_python(left: int, right: int, sign: str) -> None:
    wanted = {"+": left + right, "-": left - right, "*": left * right}[sign]
    assert calculate(f"({left}) {sign} {right}")["text"].endswith(f"= {wanted}")


@given(st.decimals(-(10**6), 10**6, places=4), st.decimals(-(10**6), 10**6, places=4))
def test_decimals_add_up_without_dust(left: object, right: object) -> None:
    assert calculate(f"({left}) + ({right})")["result"] == float(left + right)  # type: ignore[operator]  # decimals
