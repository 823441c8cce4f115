"""The definition around a line, in Python and other languages."""

from __future__ import annotations

import pytest

from pytest_starcoder.source.definitions import enclosing

SOURCES = {
    "shop.py": """
import math

class Cart:
    @property
    def total(self):
        def one(item):
            return item.price § Cart.total.one
        return sum(map(one, self.items)) § Cart.total

    size = 3 § Cart

LIMIT = 3 § -
""",
    "broken.py": """
def first(:
    pass

def second(x):
    y = x + § second
""",
    "server.go": """
package main

import "fmt"

type Server struct {
\taddr string § Server
}

// Start listens.
func (s *Server) Start(ctx context.Context) error {
\tif s.addr == "" {
\t\treturn errors.New("no address") § Start
\t}
\tgo func() {
\t\tfmt.Println(s.addr) § Start
\t}()
\treturn nil
}

func main() {
\tfmt.Println("x") § main
}
""",
    "lib.rs": """
use std::fmt;

#[derive(Debug)]
pub struct Point {
    x: f64, § Point
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.x {
            0.0 => write!(f, "origin"), § fmt
            _ => write!(f, "({})", self.x),
        }
    }
}

pub async fn load<T>(
    path: &str,
) -> Result<T, Error>
where
    T: Default,
{
    let text = read(path)?; § load
    Ok(parse(text))
}
""",
    "app.js": """
const fs = require('fs');

export const double = (x) => {
  return x * 2; § double
};

class Cart {
  constructor(items) {
    this.items = items; § constructor
  }

  total() {
    for (const item of this.items) {
      if (item.free) {
        continue; § total
      }
    }
  }
}

module.exports = function handler(req, res) {
  res.end(); § handler
};
""",
    "view.tsx": """
interface Props {
  name: string; § Props
}

export default function View({ name }: Props): JSX.Element {
  const [open, setOpen] = useState(false);
  useEffect(() => {
    setOpen(true); § View
  }, []);
  return <div>{name}</div>; § View
}

export class Store<T> {
  private async load(id: string): Promise<T> {
    return await this.get(id); § load
  }
}
""",
    "Shop.java": """
package shop;

public class Shop {
    private final int size;

    @Override
    public int total(List<Item> items)
            throws IOException {
        int sum = 0;
        for (Item item : items) {
            sum += item.price; § total
        }
        return sum;
    }

    static class Inner {
        int x; § Inner
    }
}
""",
    "main.c": """
#include <stdio.h>

static int
add(int a, int b)
{
#ifdef DEBUG
    printf("add");
#endif
    return a + b; § add
}

int main(int argc,
         char **argv)
{
    if (argc > 1) {
        goto out; § main
    }
out:
    return 0; § main
}

struct point {
    int x; § point
};
""",
    "vec.cpp": """
namespace geo {

template <typename T>
class Vec {
public:
    explicit Vec(T x) : x_(x) {}
    T norm() const {
        return std::abs(x_); § norm
    }
private:
    T x_; § Vec
};

}  // namespace geo

void geo::Vec<int>::scale(int by) {
    x_ *= by; § scale
}
""",
    "Shop.cs": """
namespace Shop
{
    public class Cart
    {
        public decimal Total { get; set; } § Cart

        public async Task<int> CountAsync(
            string name,
            int limit)
        {
            foreach (var item in items)
            {
                n += 1; § CountAsync
            }
            return n;
        }
    }
}
""",
    "cart.rb": """
module Shop
  class Cart
    attr_reader :items § Cart

    def total
      items.each do |item|
        sum += item.price § total
      end
    rescue TypeError
      0 § total
    end
  end
end
""",
    "index.php": """
<?php
namespace App;

final class Cart
{
    public function total(array $items): int
    {
        foreach ($items as $item) {
            $sum += $item->price; § total
        }
        return $sum;
    }
}

function helper($x) {
    return $x; § helper
}
""",
    "Main.kt": """
package shop

data class Item(
    val price: Int, § Item
)

fun total(items: List<Item>): Int {
    return items.sumOf {
        it.price § total
    }
}

class Cart {
    private suspend fun load(id: String): Item {
        return api.get(id) § load
    }
}
""",
    "App.swift": """
import Foundation

struct Cart {
    var items: [Item] = [] § Cart

    mutating func add(_ item: Item) throws -> Int {
        guard item.ok else {
            throw CartError.bad § add
        }
        return 1
    }

    init(items: [Item]) {
        self.items = items § init
    }
}
""",
    "Main.scala": """
object Main extends App {
  def total(items: List[Item]): Int = {
    items.map { item =>
      item.price § total
    }.sum
  }

  case class Item(
    price: Int § Item
  )
}
""",
    "stack.lua": """
local Stack = {}

function Stack:push(x)
  if x then
    self.items[#self.items + 1] = x § Stack:push
  end
end

local helper = function(a)
  return a § helper
end
""",
    "deploy.sh": """
#!/usr/bin/env bash
set -e

deploy() {
    for host in "$@"; do
        ssh "$host" restart § deploy
    done
}

function clean {
    rm -rf build § clean
}

echo done § -
""",
    "Parser.pm": """
package Parser;

sub parse {
    my ($self, $text) = @_;
    if ($text) {
        return 1; § parse
    }
}
""",
    "cart.ex": """
defmodule Shop.Cart do
  @limit 3 § Shop.Cart

  def total(items) do
    Enum.reduce(items, 0, fn item, sum ->
      sum + item.price § total
    end)
  end

  defp valid?(item), do: item.ok
end
""",
    "Main.hs": """
module Main where

total :: [Item] -> Int
total items =
  sum (map price items) § total items =
  where
    price = itemPrice § total items =
""",
    "stats.R": """
mean_of <- function(xs) {
  if (length(xs) == 0) {
    return(0) § mean_of
  }
  sum(xs) / length(xs)
}
""",
    "core.clj": """
(ns shop.core)

(defn total [items]
  (reduce + (map :price § total
                 items)))
""",
    "query.sql": """
CREATE OR REPLACE FUNCTION total(cart_id int) RETURNS int AS $$
BEGIN
    RETURN 1; § total
END;
$$ LANGUAGE plpgsql;
""",
    "site.css": """
.cart .item {
  color: red; § .cart .item
}
""",
    "Makefile": """
build: main.c
\tcc -o main main.c § build: main.c
""",
    "config.toml": """
[tool.black]
line-length = 100 § -
""",
    "cart.dart": """
class Cart {
  int total(List<Item> items) {
    var sum = 0; § total
    return sum;
  }
}
""",
    "calc.zig": """
pub fn add(a: i32, b: i32) i32 {
    return a + b; § add
}
""",
    "Calc.jl": """
function area(r)
    return pi * r^2 § area
end
""",
    "Deploy.ps1": """
function Get-Cart {
    param($Id)
    return $Id § Get-Cart
}
""",
}


def cases() -> list[tuple[str, str, int, str]]:
    found = []
    for path, marked in SOURCES.items():
        lines = marked.strip("\n").split("\n")
        source = "\n".join(line.split(" § ")[0] for line in lines)
        for number, line in enumerate(lines, 1):
            if " § " in line:
                found.append((path, source, number, line.split(" § ")[1]))
    return found


@pytest.mark.parametrize(("path", "source", "line", "name"), cases())
def test_enclosing_definition(path: str, source: str, line: int, name: str) -> None:
    lines = source.split("\n")
    found = enclosing(path, lines, line)
    assert (found.name if found else "-") == name
    if found:
        assert found.first <= line <= found.last


@pytest.mark.parametrize(
    ("line", "context", "name"),
    [(3, "Usage", "Usage"), (4, "Usage", None), (3, "", None), (3, "if x", None)],
    ids=["inside", "behind", "no-context", "control"],
)
def test_context_of_the_hunk(line: int, context: str, name: str | None) -> None:
    lines = ["Usage", "  first", "  second", "Other"]
    definition = enclosing("notes.md", lines, line, context)
    assert (definition.name if definition else None) == name
