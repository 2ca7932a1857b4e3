"""What `deephtm run` says of how its input is read, and what it does about rows without a number."""

from collections.abc import Iterator
from dataclasses import dataclass

from deephtm_gpu.errors import UserError
from deephtm_gpu.sources import Reading, Row, RowError, Source

SKIP, HOLD, STOP = "skip", "hold", "stop"


def add_arguments(parser):
    parser.add_argument("--missing", choices=(SKIP, HOLD, STOP), default=SKIP,
                        help="what a row without a number does, such as NA: skip: nothing is learned from it; hold: "
                             "the last number is learned again; stop: the run ends there (skip)")
    parser.add_argument("--delimiter", metavar="SIGN",
                        help="what separates the cells of a line: one sign, tab or space (found from the header)")
    parser.add_argument("--decimal", metavar="SIGN", help="the decimal sign, . or , (found from the numbers)")
    parser.add_argument("--time-format", metavar="F",
                        help="day-first, month-first, epoch, epoch-ms, seconds, excel or a format such as '%%d/%%m/%%Y "
                             "%%H:%%M' (found from the timestamps, or refused)")
    parser.add_argument("--no-header", action="store_true",
                        help="the first line is a row; the columns are called 1, 2, 3, ...")


def reading_of(args) -> Reading:
    return Reading(args.delimiter, args.decimal, args.time_format, not args.no_header)


def check_columns(args):
    """Raises UserError for a column that is named twice."""
    twice = next((c for c in args.column if args.column.count(c) > 1), None)
    if twice is not None:
        raise UserError(f"--column must name each column once, got {twice!r} {args.column.count(twice)} times; leave "
                        "the others out.")


@dataclass
class _Gaps:
    """Those of one series."""

    rows: int
    first: str


class Missing:
    """What is done about gaps, and the list of them. policy: SKIP, HOLD or STOP."""

    def __init__(self, policy):
        self._policy = policy
        self._found: dict[tuple[str, str], _Gaps] = {}  # (file, column) -> gaps

    def tables(self, source: Source, last: list | None = None) -> Iterator[list[tuple[Row, ...]]]:
        """As `source.tables()`. last: of each column the last value and its time, of an earlier run. Raises RowError
        with STOP, after the rows before."""
        last = list(last or [(None, None)] * len(source.columns))
        for rows in source.tables():
            done = rows if self._policy == SKIP else []
            for row in rows:
                gaps = [i for i, cell in enumerate(row) if cell.value is None]
                if gaps and self._policy == STOP:
                    if done:
                        yield done
                    raise self._stop(source, gaps[0], row[gaps[0]])
                for i in gaps:
                    self._note(source.name, source.columns[i], row[i])
                if self._policy != SKIP:
                    done.append(tuple(self._held(last, i, cell) for i, cell in enumerate(row)))
            yield done

    def rows(self, source: Source) -> Iterator[Row]:
        """Of the only column, row by row."""
        for table in self.tables(source):
            for row in table:
                yield row[0]

    def table(self) -> str:
        """Lines of text, one for each series with gaps; "" where there are none."""
        if not self._found:
            return ""
        names = [f"{file}, column {column!r}" for file, column in self._found]
        width = max(map(len, names)) + 2
        did = "held" if self._policy == HOLD else "skipped"
        lines = [f"{did + ' rows':<{width}}{'rows':>10}  first"]
        lines += [f"{name:<{width}}{gaps.rows:>10,}  {gaps.first}" for name, gaps in zip(names, self._found.values())]
        return "\n".join(lines)

    def _held(self, last, i, cell):
        """The row; a gap becomes a row of the last value, where there is one."""
        value, when = last[i]
        if cell.value is not None:
            last[i] = cell.value, cell.when
        elif value is not None:
            return cell._replace(value=value, when=cell.when or when)
        return cell

    def _note(self, file, column, row):
        gaps = self._found.setdefault((file, column), _Gaps(0, f"{row.where}: {row.why}"))
        gaps.rows += 1

    def _stop(self, source, i, row):
        return RowError(f"{source.name}: {row.where} must have a number in column {source.columns[i]!r}, got "
                        f"{row.why}; fill it in, or give --missing {SKIP} or --missing {HOLD}.")
