-- Counts calls, one after the other: each in all of its buckets, or in none if one of them is used up.
-- KEYS: the buckets of the first call, then those of the next. ARGV: for each call, how many buckets it
-- has, and for each of them the microseconds after which one call comes back, and how far ahead it may
-- be. Returns for each call whether it was counted, and for each of its buckets the microseconds until
-- it is full again.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local reply, first, argument = {}, 1, 1
while argument <= #ARGV do
  local count = tonumber(ARGV[argument])
  local full = redis.call('MGET', unpack(KEYS, first, first + count - 1))
  local at, admitted = #reply + 1, 1
  for i = 1, count do
    local ahead = math.max((tonumber(full[i]) or 0) - now, 0)
    reply[at + i] = ahead
    if ahead + ARGV[argument + 2 * i - 1] > tonumber(ARGV[argument + 2 * i]) then
      admitted = 0
    end
  end
  reply[at] = admitted
  if admitted == 1 then
    for i = 1, count do
      local ahead = reply[at + i] + ARGV[argument + 2 * i - 1]
      redis.call('SET', KEYS[first + i - 1], string.format('%.0f', now + ahead), 'PX', math.ceil(ahead / 1000))
      reply[at + i] = ahead
    end
  end
  first, argument = first + count, argument + 2 * count + 1
end
return reply
