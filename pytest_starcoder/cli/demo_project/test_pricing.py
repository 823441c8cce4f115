from pricing import mean, total


def test_total():
    assert total([("pen", 2, 3)]) == 6


def test_total_in_dollars():
    assert total([("pen", 2.0, 3)], "USD") == 6.48


def test_mean():
    assert mean([1, 2, 3]) == 2


def test_mean_of_equal_prices():
    prices = [5, 5, 5, 5, 5]
    assert mean(prices) == 5
