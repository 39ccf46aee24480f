import marimo

app = marimo.App()


@app.cell
def _():
    import marimo as mo
    from people import IN_CALLBACK, report

    in_callback = IN_CALLBACK

    get, put = mo.state("")
    return in_callback, get, mo, put, report


@app.cell
def _(in_callback, mo, put, report):
    mo.ui.button(label="Book", on_change=lambda _: put(report())) if in_callback else report()
    return


@app.cell
def _(get):
    get()
    return


if __name__ == "__main__":
    app.run()
