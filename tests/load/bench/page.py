"""Tables in Markdown, and their place in a page."""

from load import median

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "| " + " | ".join(["---"] + ["---:"] * (len(header) - 1)) + " |"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def micros(value):
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def compared(groups, results):
    """A table of rows (`title`, samples by contestant): the first contestant is what the others are
    compared with."""
    header = ["", "who", *(f"{group}, µs" for group in groups), "together", "ratio", "spread", "requests/s", "noise"]
    rows = []
    for title, samples in results:
        first = None
        for name, several in samples.items():
            together = [sample.together for sample in several]
            first = first or median(together)
            shares = [
                micros(median([sample.cpu[group] for sample in several])) if group in several[0].cpu else ""
                for group in groups
            ]
            spread = f"{micros(min(together))}–{micros(max(together))}"
            rate = median([sample.rate for sample in several])
            noise = median([sample.noise for sample in several])
            ratio = median(together) / first if first else 0
            cells = [micros(median(together)), f"{ratio:.2f}", spread, f"{rate:,.0f}", f"{noise:.0%}"]
            rows.append([title, name, *shares, *cells])
            title = ""
    return table(header, rows)


def write(path, text):
    """Puts the text between the marks of the page; the rest stays."""
    with open(path) as file:
        page = file.read()
    before, found, rest = page.partition(BEGIN)
    if not found or END not in rest:
        raise RuntimeError(f"{path} has no place for the tables: {BEGIN} … {END}")
    with open(path, "w") as file:
        file.write(f"{before}{BEGIN}\n\n{text.strip()}\n\n{END}{rest.partition(END)[2]}")
