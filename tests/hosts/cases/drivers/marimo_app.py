import marimo

app = marimo.App()


@app.cell
def _():
    import asyncio
    import json
    import threading

    import marimo as mo
    import shared
    from outcome import outcome

    from jupyter_session_user import bind_current_user

    def in_thread(function):
        found = []
        thread = threading.Thread(target=lambda: found.append(function()))
        thread.start()
        thread.join()
        return found[0]

    def show(**said):
        return mo.Html(f"<pre>{json.dumps(said)}</pre>")

    return asyncio, bind_current_user, in_thread, mo, outcome, shared, show


@app.cell
async def _(asyncio, bind_current_user, in_thread, outcome, shared, show):
    show(
        cell=outcome(),
        thread=in_thread(outcome),
        bound_thread=in_thread(bind_current_user(outcome)),
        pool=await asyncio.wrap_future(shared.POOL.submit(bind_current_user(outcome))),
        warm=shared.AT_IMPORT,
    )
    return


@app.cell
def _(asyncio, mo, outcome):
    clicks = []
    tasks = []

    async def later():
        await asyncio.sleep(0.3)
        return outcome()

    def clicked(_):
        clicks.append(outcome())
        tasks.append(asyncio.ensure_future(later()))

    button = mo.ui.button(value=0, on_click=lambda n: n + 1, on_change=clicked)
    button
    return button, clicks, tasks


@app.cell
async def _(button, clicks, outcome, show, tasks):
    show(
        callback=[*clicks[-1:], outcome()],
        clicks=button.value,
        outliving=await tasks[-1] if tasks else None,
    )
    return


@app.cell
def _(asyncio, mo, outcome):
    async def lazily():
        await asyncio.sleep(0.05)
        return f"who=({outcome()})"

    mo.lazy(lazily)
    return


@app.cell
def _(mo, outcome, show):
    refresh = mo.ui.refresh(default_interval="1m")
    refresh
    return (refresh,)


@app.cell
def _(outcome, refresh, show):
    show(periodic=outcome(), at=str(refresh.value))
    return


if __name__ == "__main__":
    app.run()
