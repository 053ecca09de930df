// Starts Swagger UI. A file of its own, since the page's content policy allows no inline script.
// In the reader's colours. A switch in the page is left out with its bar, so the system's choice counts.
const dark = matchMedia("(prefers-color-scheme: dark)");
const paint = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", paint);
paint();
window.ui = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#page",
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  // The description is not sent to an outside validator.
  validatorUrl: null,
});
