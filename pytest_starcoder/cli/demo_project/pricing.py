"""Prices of a small shop."""

RATES = {"EUR": 1.0, "USD": "1.08"}


def convert(amount, currency):
    return amount * RATES[currency]


def total(items, currency="EUR"):
    return sum(convert(price, currency) * quantity for _, price, quantity in items)


def mean(prices):
    return sum(prices) / (len(prices) - 1)
