// What scripts keep lies in $app.store(): each handler runs in one of several VMs that share no globals.
routerUse((e) => {
  const last = e.request.method + " " + e.request.url.path + " " + (e.request.header.get("x-bench") || "-");
  $app.store().setFunc("n", (old) => (old || 0) + 1);
  // Headers are sent with the body, within next().
  e.response.header().set("x-hook", "" + $app.store().get("n"));
  e.next();
});
