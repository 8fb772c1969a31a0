from hypothesis import given
from hypothesis import strategies as st

from hub_app.http import png
from tests.hub_app.http.pictures import decode


@given(
    st.integers(1, 4).flatmap(
        lambda stride: st.tuples(
            st.just(stride),
            st.lists(st.binary(min_size=stride, max_size=stride), min_size=1, max_size=8),
        )
    ),
    st.integers(1, 4),
)
def test_a_png_holds_the_pixels_enlarged(sized: tuple[int, list[bytes]], scale: int) -> None:
    stride, rows = sized
    pixels = [[bool(row[x // 8] & 0x80 >> x % 8) for x in range(8 * stride)] for row in rows]
    enlarged = [[p for p in row for _ in range(scale)] for row in pixels for _ in range(scale)]
    assert decode(png.encode(8 * stride, b"".join(rows), scale)) == enlarged
