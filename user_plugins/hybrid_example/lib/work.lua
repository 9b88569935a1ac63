-- What panotti.task.run calls in a VM of its own.
local work = { runs = 0 } -- counts in each VM by itself: nothing is shared

-- Mixes the text over and over, as a stand-in for real computing.
function work.checksum(text, rounds)
  work.runs = work.runs + 1
  local mixed = 5381
  for _ = 1, rounds do
    for i = 1, #text do
      mixed = bit32.bxor(mixed * 33 % 2 ^ 32, string.byte(text, i))
    end
  end
  return { checksum = mixed, rounds = rounds }
end

return work
