# Binder's link contains the server's token. The page that it opens has a button for each demo user,
# and links for a private window. It protects no data.
c = get_config()  # noqa: F821 - traitlets puts it here

c.ServerApp.identity_provider_class = "jupyter_session_user.testing.tour.TourIdentityProvider"
c.TourIdentityProvider.demo = True
c.TourIdentityProvider.remote = True
c.TourIdentityProvider.folder = "examples"
c.ServerApp.default_url = c.LabApp.default_url = "/session-user-demo"

c.JupyterSessionUser.share_cookies = ["demo_platform_user"]
c.JupyterSessionUser.session_resolver = "jupyter_session_user.testing.tour.ends"
c.JupyterSessionUser.resolvers = ["custom", "signed_cookie"]
