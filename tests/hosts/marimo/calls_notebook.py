import marimo

app = marimo.App()


@app.cell
def _():
    import asyncio
    import json

    import marimo as mo
    from who import who

    from jupyter_session_user import identity_from_cookie

    identity_from_cookie("numerous_user_info", username="user_id", name="user_full_name")
    said = []
    return asyncio, json, mo, said, who


@app.cell
def _(asyncio, mo, said, who):
    async def lazily():
        await asyncio.sleep(0.1)
        return f"who=({who()}) chat=({'; '.join(said)})"

    async def model(messages):
        said.append(who())
        yield "by "
        await asyncio.sleep(0.1)
        said.append(who())
        yield said[-1]

    mo.vstack([mo.lazy(lazily), mo.ui.chat(model), mo.download(lambda: who().encode(), label="d")])
    return


@app.cell
def _(json, mo, who):
    mo.Html(f"<pre>{json.dumps({'cell': who(), 'callback': []})}</pre>")
    return


if __name__ == "__main__":
    app.run()
