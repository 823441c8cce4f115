"""`starcoder-review`, the command behind the hooks of `.pre-commit-hooks.yaml`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

NOT_YET = (
    "starcoder-review: nothing was reviewed, for this version of pytest-starcoder has no review yet; "
    "commit with SKIP=starcoder-review, or remove the hook."
)


def main(argv: Sequence[str] | None = None) -> int:
    """0 for the advisory hook, which never fails, else 2: a hook that passes would say 'reviewed'."""
    arguments = sys.argv[1:] if argv is None else argv
    print(NOT_YET, file=sys.stderr)
    return 0 if "--advisory" in arguments else 2


if __name__ == "__main__":
    raise SystemExit(main())
