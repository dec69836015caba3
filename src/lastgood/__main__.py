"""``python -m lastgood``: the same as the console script, for children started by the interpreter at hand."""

from lastgood.cli import main

if __name__ == "__main__":
    main()
