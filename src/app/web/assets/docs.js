// Shows the description of the API. The search would need a worker from a blob, which the page's policy forbids; browsers search as well.
Redoc.init(
  "/openapi.json",
  { disableSearch: true, hideDownloadButton: false, nativeScrollbars: true, sortTagsAlphabetically: true },
  document.getElementById("docs"),
);
