-- Applies all writes to one owner, or none. Returns 1 when it did, 0 when a condition does not hold.
-- KEYS: the hash of the records; the sorted set of its fields by when they may be dropped, in milliseconds.
-- ARGV, four a write: field; version replaced, "" for none; new value, "" to delete; when to drop, "" for never.
local records, drops = KEYS[1], KEYS[2]

local fields = {}
for i = 1, #ARGV, 4 do
	fields[#fields + 1] = ARGV[i]
end
local held = redis.call('HMGET', records, unpack(fields))
redis.call('ZCARD', drops) -- were this another type, it would fail here and not after a write
for i = 1, #fields do
	local want, has = ARGV[4 * i - 2], held[i]
	if want == '' then
		if has then
			return 0
		end
	elseif not has or string.sub(has, 1, #want + 1) ~= want .. ' ' then
		return 0
	end
end

for i, field in ipairs(fields) do
	local value, drop = ARGV[4 * i - 1], ARGV[4 * i]
	if value == '' then
		redis.call('HDEL', records, field)
	else
		redis.call('HSET', records, field, value)
	end
	if drop == '' then
		redis.call('ZREM', drops, field)
	else
		redis.call('ZADD', drops, drop, field)
	end
end

local time = redis.call('TIME')
local over = redis.call('ZRANGEBYSCORE', drops, '-inf', time[1] * 1000, 'LIMIT', 0, 1000)
if #over > 0 then
	redis.call('HDEL', records, unpack(over))
	redis.call('ZREM', drops, unpack(over))
end

-- The server drops the whole when the last record may go, unless one may never.
if redis.call('HLEN', records) > redis.call('ZCARD', drops) then
	redis.call('PERSIST', records)
	redis.call('PERSIST', drops)
else
	local last = redis.call('ZREVRANGE', drops, 0, 0, 'WITHSCORES')[2]
	if last then
		redis.call('PEXPIREAT', records, last)
		redis.call('PEXPIREAT', drops, last)
	end
end
return 1
