# Binder's link contains the server's token. Each new browser that opens it becomes the next demo
# user: open it once more in a private window for a second user. It protects no data.
c = get_config()  # noqa: F821 - traitlets puts it here

c.ServerApp.identity_provider_class = (
    "jupyter_session_user.testing.demo_identity.DemoIdentityProvider"
)
c.DemoIdentityProvider.demo = True
c.DemoIdentityProvider.token_visitors = True
c.LabApp.default_url = "/lab/tree/examples/whoami.ipynb"
