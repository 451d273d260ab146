#!lua name=reelstream_v1

-- What Redis itself does: every change of one user, or of one partition's item counters, as one atomic call.
-- The caller names every key (KEYS), all of one slot. Python's side of each call is streams/state.py.

local COLD = 'cold_start'
local CHUNK = 4000          -- arguments of one command; Lua's stack holds about 8000
local HIGHEST_EXPONENT = 256 -- doublings after which forward-decayed weights get a new landmark
local FORGOTTEN = 1e-60     -- weights below this after a new landmark are dropped

-- The shortest text that Redis reads back as the same double.
local function text(number)
  if number == math.floor(number) and math.abs(number) < 9007199254740992 then
    return string.format('%.0f', number)
  end
  local short = string.format('%.15g', number)
  return tonumber(short) == number and short or string.format('%.17g', number)
end

local function call_in_chunks(command, key, arguments)
  for first = 1, #arguments, CHUNK do
    redis.call(command, key, unpack(arguments, first, math.min(first + CHUNK - 1, #arguments)))
  end
end

-- Put the scores of those members that a zset holds into a table.
local function scores_of(key, members, into)
  for first = 1, #members, CHUNK do
    local last = math.min(first + CHUNK - 1, #members)
    local scores = redis.call('ZMSCORE', key, unpack(members, first, last))
    for i = first, last do
      local score = scores[i - first + 1]
      if score then into[members[i]] = tonumber(score) end
    end
  end
end

-- users --------------------------------------------------------------------------------------------------------

-- keys of a user call: 1 profile, 2 recent, 3 seen, 4 genres, 5 event ids of watches, 6 of ratings
local EVENT_IDS = {watch = 5, rate = 6}

-- Recall the event ids applied before, for one kind. Ids are forgotten (oldest first) just before a call that brings
-- new events reads them, never after it: so a redelivered call finds what it found the first time.
local function recall(key, batch, kind, is_new, remembered)
  local known, old_ids, new_ids = {}, {}, {}
  for i, id in ipairs(batch.id) do
    if batch.kind[i] == kind then
      local ids = is_new[i] and new_ids or old_ids
      ids[#ids + 1] = id
    end
  end
  scores_of(key, old_ids, known)
  if #new_ids > 0 then
    redis.call('ZREMRANGEBYRANK', key, 0, -(remembered + 1))
    scores_of(key, new_ids, known)
  end
  return known
end

-- Move the positions; return which events are beyond them, and whether any is.
local function advance(batch, at)
  local is_new, moved = {}, false
  for i, offset in ipairs(batch.offset) do
    local position = batch.position[i]
    is_new[i] = offset > at[position]
    if is_new[i] then at[position], moved = offset, true end
  end
  return is_new, moved
end

-- For each event: '1' if it counts (the same answer at every redelivery), and '1' if it changes the state now; and the
-- numbers of those that do.
local function judge(keys, batch, is_new, remembered)
  local known, added = {}, {watch = {}, rate = {}}
  for kind, index in pairs(EVENT_IDS) do
    known[kind] = recall(keys[index], batch, kind, is_new, remembered)
  end
  local counted, fresh, chosen = {}, {}, {}
  for i, id in ipairs(batch.id) do
    local kind, score = batch.kind[i], batch.score[i]
    local applied = known[kind][id]
    local counts = applied == nil or (not is_new[i] and applied == score)
    counted[i] = counts and '1' or '0'
    fresh[i] = counts and is_new[i] and '1' or '0'
    if counts and is_new[i] then
      known[kind][id] = score
      chosen[#chosen + 1] = i
      local list = added[kind]
      list[#list + 1] = text(score)
      list[#list + 1] = id
    end
  end
  for kind, index in pairs(EVENT_IDS) do
    call_in_chunks('ZADD', keys[index], added[kind])
  end
  return table.concat(counted), table.concat(fresh), chosen
end

-- Insert an entry at its place in a newest-first list: before the first that is not newer.
local function place(entries, entry, ts)
  local low, high = 1, #entries + 1
  while low < high do
    local middle = math.floor((low + high) / 2)
    if cjson.decode(entries[middle])[2] <= ts then high = middle else low = middle + 1 end
  end
  table.insert(entries, low, entry)
end

local function remember_recent(key, batch, chosen, newest, length)
  local is_late, entries = false, {}
  for n, i in ipairs(chosen) do
    entries[n] = batch.entry[i]
    is_late = is_late or batch.ts[i] < newest
    newest = math.max(newest, batch.ts[i])
  end
  if is_late then
    entries = redis.call('LRANGE', key, 0, -1)
    for _, i in ipairs(chosen) do place(entries, batch.entry[i], batch.ts[i]) end
    redis.call('DEL', key)
  end
  call_in_chunks(is_late and 'RPUSH' or 'LPUSH', key, entries)
  redis.call('LTRIM', key, 0, length - 1)
end

local function read_genres(key)
  local stored, values = redis.call('HGETALL', key), {}
  for i = 1, #stored, 2 do values[stored[i]] = tonumber(stored[i + 1]) end
  return values
end

-- Bring the affinities forward to the newest event time, then add what is fresh with its own decay.
local function like_genres(key, values, batch, chosen, before, now, half_life)
  local decay = 2 ^ ((before - now) / half_life)
  for genre, value in pairs(values) do values[genre] = value * decay end
  for _, i in ipairs(chosen) do
    local weight = batch.weight[i] * 2 ^ ((batch.ts[i] - now) / half_life)
    for _, genre in ipairs(batch.genres[i]) do values[genre] = (values[genre] or 0) + weight end
  end
  local fields = {}
  for genre, value in pairs(values) do
    local stored = string.format('%.12g', value)
    fields[#fields + 1] = genre
    fields[#fields + 1] = stored
    values[genre] = tonumber(stored) -- so that this call returns what a later one reads
  end
  call_in_chunks('HSET', key, fields)
end

-- A user as one JSON array:
-- [watches, ratings, rating_sum, first_ts, last_ts, mode, seen, counted, fresh, recent, genres].
local function render(keys, user, genres, counted, fresh, returned)
  return table.concat({
    '[', text(user.watches), ',', text(user.ratings), ',', text(user.rating_sum), ',',
    text(user.first_ts), ',', text(user.last_ts), ',', cjson.encode(user.mode), ',',
    redis.call('SCARD', keys[3]), ',"', counted, '","', fresh, '",[',
    table.concat(redis.call('LRANGE', keys[2], 0, returned - 1), ','), '],', cjson.encode(genres), ']',
  })
end

local function read_user(key, positions)
  local stored = redis.call(
    'HMGET', key, 'watches', 'ratings', 'rating_sum', 'first_ts', 'last_ts', 'mode', unpack(positions)
  )
  local user = {
    watches = tonumber(stored[1] or 0), ratings = tonumber(stored[2] or 0), rating_sum = tonumber(stored[3] or 0),
    first_ts = tonumber(stored[4] or 0), last_ts = tonumber(stored[5] or 0), mode = stored[6] or COLD,
  }
  local at = {}
  for i = 1, #positions do at[i] = tonumber(stored[6 + i] or -1) end
  return user, at
end

local function count_into(user, batch, chosen)
  if user.watches + user.ratings == 0 then
    user.first_ts, user.last_ts = batch.ts[chosen[1]], batch.ts[chosen[1]]
  end
  for _, i in ipairs(chosen) do
    if batch.kind[i] == 'watch' then
      user.watches = user.watches + 1
    else
      user.ratings = user.ratings + 1
      user.rating_sum = user.rating_sum + batch.stars[i]
    end
    user.first_ts = math.min(user.first_ts, batch.ts[i])
    user.last_ts = math.max(user.last_ts, batch.ts[i])
  end
end

local function write_user(key, user, positions, at)
  local fields = {
    'watches', text(user.watches), 'ratings', text(user.ratings), 'rating_sum', text(user.rating_sum),
    'first_ts', text(user.first_ts), 'last_ts', text(user.last_ts),
  }
  for i, position in ipairs(positions) do
    fields[#fields + 1] = position
    fields[#fields + 1] = text(at[i])
  end
  redis.call('HSET', key, unpack(fields))
end

-- args: 1 recent length, 2 entries returned, 3 event ids remembered, 4 half-life of genres in ms, 5 JSON of columns:
-- {positions = {field, ...}, and for each event: position, offset, score, id, kind, item, ts, stars, weight, entry, genres}
local function apply(keys, args)
  local length, returned, remembered, half_life =
    tonumber(args[1]), tonumber(args[2]), tonumber(args[3]), tonumber(args[4])
  local batch = cjson.decode(args[5])
  local user, at = read_user(keys[1], batch.positions)
  local genres = read_genres(keys[4])
  local is_new, moved = advance(batch, at)
  local counted, fresh, chosen = judge(keys, batch, is_new, remembered)
  if #chosen > 0 then
    local before = user.watches + user.ratings > 0 and user.last_ts or batch.ts[chosen[1]]
    count_into(user, batch, chosen)
    remember_recent(keys[2], batch, chosen, before, length)
    local touched = {}
    for n, i in ipairs(chosen) do touched[n] = batch.item[i] end
    call_in_chunks('SADD', keys[3], touched)
    like_genres(keys[4], genres, batch, chosen, before, user.last_ts, half_life)
  end
  if moved then write_user(keys[1], user, batch.positions, at) end
  return render(keys, user, genres, counted, fresh, returned)
end

-- args: 1 entries returned
local function read(keys, args)
  local user = read_user(keys[1], {})
  return render(keys, user, read_genres(keys[4]), '', '', tonumber(args[1]))
end

-- Put a user's list in place unless a newer one is there, and the mode it was published in with it.
-- keys: 1 profile, 2 recs   args: 1 sequence, 2 mode, 3 list
local function store_list(keys, args)
  local stored = tonumber(redis.call('HGET', keys[1], 'list_sequence') or -1)
  if tonumber(args[1]) < stored then return 0 end
  redis.call('HSET', keys[1], 'mode', args[2], 'list_sequence', args[1])
  redis.call('SET', keys[2], args[3])
  return 1
end

-- items --------------------------------------------------------------------------------------------------------

-- Forward decay (Cormode, Shkapenyuk, Srivastava and Xu 2009, "Forward decay: a practical time decay model for
-- streaming systems"): an event at ts adds heat * 2^((ts - landmark) / half_life) for good, and a reader divides by
-- 2^((now - landmark) / half_life). A new landmark only rescales, so the order of the items never depends on it.
local function move_landmark(key, clock, landmark)
  local factor = 2 ^ ((clock.landmark - landmark) / clock.half_life)
  redis.call('ZUNIONSTORE', key, 1, key, 'WEIGHTS', text(factor))
  redis.call('ZREMRANGEBYSCORE', key, 0, FORGOTTEN)
  clock.landmark = landmark
end

-- Bring the clock to where the batch's weights can be added.
local function wind(key, clock, newest, half_life)
  if not clock.landmark then
    clock.landmark, clock.newest, clock.half_life = newest, newest, half_life
  end
  if clock.half_life ~= half_life then
    move_landmark(key, clock, clock.newest)
    clock.half_life = half_life
  end
  if newest - clock.landmark > HIGHEST_EXPONENT * half_life then move_landmark(key, clock, newest) end
  clock.newest = math.max(clock.newest, newest)
end

local function increase(increments, item, by)
  increments[item] = (increments[item] or 0) + by
end

local function add_to_hash(key, increments)
  local items, fields = {}, {}
  for item in pairs(increments) do items[#items + 1] = item end
  for first = 1, #items, CHUNK do
    local last = math.min(first + CHUNK - 1, #items)
    local stored = redis.call('HMGET', key, unpack(items, first, last))
    for i = first, last do
      fields[#fields + 1] = items[i]
      fields[#fields + 1] = text(tonumber(stored[i - first + 1] or 0) + increments[items[i]])
    end
  end
  call_in_chunks('HSET', key, fields)
end

local function add_to_zset(key, increments)
  local items, fields, stored = {}, {}, {}
  for item in pairs(increments) do items[#items + 1] = item end
  scores_of(key, items, stored)
  for _, item in ipairs(items) do
    fields[#fields + 1] = string.format('%.17g', (stored[item] or 0) + increments[item])
    fields[#fields + 1] = item
  end
  call_in_chunks('ZADD', key, fields)
end

-- Add the events numbered in chosen to the counters, and their weights to hot.
local function add_items(keys, batch, chosen, clock, half_life)
  local newest = batch.ts[chosen[1]]
  for _, i in ipairs(chosen) do newest = math.max(newest, batch.ts[i]) end
  wind(keys[5], clock, newest, half_life)
  local watches, ratings, rating_sum, hot = {}, {}, {}, {}
  for _, i in ipairs(chosen) do
    local item = batch.item[i]
    if batch.kind[i] == 'watch' then
      increase(watches, item, 1)
    else
      increase(ratings, item, 1)
      increase(rating_sum, item, batch.stars[i])
    end
    increase(hot, item, batch.heat[i] * 2 ^ ((batch.ts[i] - clock.landmark) / half_life))
  end
  add_to_hash(keys[2], watches)
  add_to_hash(keys[3], ratings)
  add_to_hash(keys[4], rating_sum)
  add_to_zset(keys[5], hot)
end

-- keys: 1 at, 2 watches, 3 ratings, 4 rating_sum, 5 hot
-- args: 1 half-life of hot in ms, 2 JSON of columns:
-- {positions = {field, ...}, and for each event: position, offset, counted, kind, item, ts, stars, heat}
-- Returns how many events changed something now.
local function count_items(keys, args)
  local half_life, batch = tonumber(args[1]), cjson.decode(args[2])
  local stored = redis.call('HMGET', keys[1], 'landmark', 'newest_ts', 'half_life_ms', unpack(batch.positions))
  local clock = {landmark = tonumber(stored[1]), newest = tonumber(stored[2]), half_life = tonumber(stored[3])}
  local at, chosen = {}, {}
  for i = 1, #batch.positions do at[i] = tonumber(stored[3 + i] or -1) end
  local is_new, moved = advance(batch, at)
  for i, counts in ipairs(batch.counted) do
    if is_new[i] and counts then chosen[#chosen + 1] = i end
  end
  if #chosen > 0 then add_items(keys, batch, chosen, clock, half_life) end
  if not moved then return 0 end
  local fields = {}
  for i, position in ipairs(batch.positions) do
    fields[#fields + 1] = position
    fields[#fields + 1] = text(at[i])
  end
  if clock.landmark then
    for name, value in pairs({landmark = clock.landmark, newest_ts = clock.newest, half_life_ms = clock.half_life}) do
      fields[#fields + 1] = name
      fields[#fields + 1] = text(value)
    end
  end
  redis.call('HSET', keys[1], unpack(fields))
  return #chosen
end

-- The hottest items of a partition and the clock their weights are relative to, read at one moment.
-- keys: 1 at, 2 hot   args: 1 how many
local function read_hot(keys, args)
  local clock = redis.call('HMGET', keys[1], 'landmark', 'newest_ts', 'half_life_ms')
  return {clock, redis.call('ZRANGE', keys[2], 0, tonumber(args[1]) - 1, 'REV', 'WITHSCORES')}
end

-- keys: 1 zset   args: score, member, score, member, ...
local function replace_zset(keys, args)
  redis.call('DEL', keys[1])
  call_in_chunks('ZADD', keys[1], args)
  return #args / 2
end

redis.register_function('reelstream_v1_apply', apply)
redis.register_function('reelstream_v1_store_list', store_list)
redis.register_function('reelstream_v1_count_items', count_items)
redis.register_function('reelstream_v1_replace_zset', replace_zset)
redis.register_function{function_name = 'reelstream_v1_read', callback = read, flags = {'no-writes'}}
redis.register_function{function_name = 'reelstream_v1_read_hot', callback = read_hot, flags = {'no-writes'}}
