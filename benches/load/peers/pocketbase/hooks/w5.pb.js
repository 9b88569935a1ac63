// So many rounds take a millisecond here.
let best = Infinity;
for (let i = 0; i < 7; i++) {
  const began = Date.now();
  let x = 1;
  for (let k = 0; k < 200000; k++) x = (x * 1664525 + 1013904223) % 4294967296;
  best = Math.min(best, Date.now() - began);
}
$app.store().set("N", Math.floor(200000 / best));

onRecordCreateRequest((e) => {
  let x = 1;
  const n = $app.store().get("N");
  for (let i = 0; i < n; i++) x = (x * 1664525 + 1013904223) % 4294967296;
  e.record.set("clip_metadata", { x });
  e.next();
}, "clips");
