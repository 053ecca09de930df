// Starts Redoc. A file of its own, since the page's content policy allows no inline script.
Redoc.init("openapi.json", { hideDownloadButtons: false, theme: { typography: { fontFamily: "sans-serif", headings: { fontFamily: "sans-serif" } } } }, document.getElementById("page"));
