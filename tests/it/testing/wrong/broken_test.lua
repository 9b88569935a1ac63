local t = require("@panotti/test")
t.case("never", function(
