"""For trying the package out: an identity provider with demo users."""
