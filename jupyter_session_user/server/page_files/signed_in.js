// Tells the pages that wait for a login, and closes this window, if it was opened for that alone.
"use strict";

if (window.BroadcastChannel) {
  new BroadcastChannel("jupyter-session-user").postMessage("signed in");
}
if (document.body.dataset.close === "true") {
  window.close();
}
