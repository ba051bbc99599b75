from __future__ import annotations

import pytest

from runstead.platform.http import RESERVED_PREFIXES, is_reserved


@pytest.mark.parametrize("prefix", RESERVED_PREFIXES)
def test_a_reserved_path_and_all_below_it_belong_to_the_server(prefix: str) -> None:
    for path in (prefix, prefix + "/", prefix + "/x", prefix.upper(), "/" + prefix, prefix.lstrip("/")):
        assert is_reserved(path)


@pytest.mark.parametrize("path", ["/", "/hello", "/apis", "/docs2", "/v10", "/x/api", "/healthy"])
def test_everything_else_is_free(path: str) -> None:
    assert not is_reserved(path)
