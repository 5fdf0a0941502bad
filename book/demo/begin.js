// Starts the page's module; from a file browsers load none, so that what to do is said here.

if (location.protocol === "file:") {
  document.querySelector("#demo [data-part=status]").textContent = "Browsers run such networks "
    + "only from a server. In the project's folder, “make serve” starts one for this computer alone.";
} else {
  import("./demo.js");
}
