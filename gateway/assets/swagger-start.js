// Starts Swagger UI. A file of its own, since the page's content policy allows no inline script.
window.ui = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#page",
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  // The description is not sent to an outside validator.
  validatorUrl: null,
});
