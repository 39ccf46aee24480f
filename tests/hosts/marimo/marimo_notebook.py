import marimo

app = marimo.App()


@app.cell
def _():
    import asyncio
    import json
    import threading

    import marimo as mo
    import obvious
    from who import who

    from jupyter_session_user import (
        bind_current_user,
        get_cookies,
        get_current_user,
        identity_from_cookie,
    )

    identity_from_cookie("numerous_user_info", username="user_id", name="user_full_name")

    def show(**said):
        return mo.Html(f"<pre>{json.dumps(said)}</pre>")

    def in_thread(kind, target):
        said = []
        thread = kind(target=lambda: said.append(target()))
        thread.start()
        thread.join()
        return said[0]

    return (
        asyncio,
        bind_current_user,
        get_cookies,
        get_current_user,
        in_thread,
        mo,
        obvious,
        show,
        threading,
        who,
    )


@app.cell
async def _(
    asyncio,
    bind_current_user,
    get_cookies,
    get_current_user,
    in_thread,
    mo,
    obvious,
    show,
    threading,
    who,
):
    async def later():
        await asyncio.sleep(0.2)
        return who()

    _first = who()
    obvious.note(mo.app_meta().request.cookies)
    if mo.query_params().get("meet"):
        await asyncio.to_thread(obvious.MEETING.wait, 60)
    _task = asyncio.create_task(later())
    await asyncio.sleep(0.1)
    show(
        cell=_first,
        after_await=who(),
        task=await _task,
        to_thread=await asyncio.to_thread(who),
        executor=await asyncio.get_running_loop().run_in_executor(None, who),
        bare_thread=in_thread(threading.Thread, who),
        mo_thread=in_thread(mo.Thread, who),
        bound_thread=in_thread(threading.Thread, bind_current_user(who)),
        name=getattr(get_current_user(default=None), "name", None),
        theme=get_cookies().get("theme"),
        obvious=obvious.cookies().get("theme"),
    )
    return


@app.cell
def _(mo, who):
    clicks = []
    button = mo.ui.button(
        value=0, on_click=lambda n: n + 1, on_change=lambda _: clicks.append(who())
    )
    button
    return button, clicks


@app.cell
def _(button, clicks, show, who):
    show(clicks=button.value, callback=clicks[-1:], dependent=who())
    return


@app.cell
def _(mo, obvious, show):
    @mo.persistent_cache
    def persistent():
        return obvious.warned()

    @mo.cache
    def of_one_page():
        return obvious.warned()

    show(kept=[persistent(), of_one_page()]) if mo.query_params().get("keep") else None
    return


if __name__ == "__main__":
    app.run()
