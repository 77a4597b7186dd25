/** Starts the page. */

import { render } from "preact";
import { App } from "./app.js";
import { connect } from "./connection.js";
import { followRoute } from "./route.js";

const page = document.getElementById("page");
if (page === null) throw new Error("index.html lacks the element #page");
void connect().then(followRoute);
render(<App />, page);
