"""The same, asynchronously."""

import asyncio


async def get_user_async(handler):
    await asyncio.sleep(0)
    return handler.request.headers.get("X-Forwarded-User")


login_url = "/login"
